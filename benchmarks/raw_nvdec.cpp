// What a GPU's video engines give with nothing around them: threads that decode streams in memory again and again and map
// every picture. Usage: raw_nvdec THREADS SECONDS CODEC FILE...; CODEC is cudaVideoCodec's number, files are elementary
// streams with start codes. Prints frames per second and cores used.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "../nvvl/native/driver.h"

using rnb::Driver;
using Clock = std::chrono::steady_clock;

namespace {

std::atomic<int> num_ready{0};
std::atomic<bool> is_over{false}, has_begun{false};

struct Worker {
    const Driver &driver = Driver::get();
    CUvideoparser parser{};
    CUvideodecoder decoder{};
    unsigned long width = 0, height = 0;
    long frames = 0;

    static int sequence(void *self, CUVIDEOFORMAT *format) { return static_cast<Worker *>(self)->begin(*format); }
    static int decode(void *self, CUVIDPICPARAMS *picture) {
        auto &worker = *static_cast<Worker *>(self);
        worker.driver.check(worker.driver.decode(worker.decoder, picture), "cuvidDecodePicture");
        return 1;
    }
    static int display(void *self, CUVIDPARSERDISPINFO *info) {
        auto &worker = *static_cast<Worker *>(self);
        CUVIDPROCPARAMS params{};
        params.progressive_frame = info->progressive_frame;
        unsigned long long picture;
        unsigned pitch;
        worker.driver.check(worker.driver.map(worker.decoder, info->picture_index, &picture, &pitch, &params), "map");
        worker.driver.check(worker.driver.unmap(worker.decoder, picture), "unmap");
        worker.frames += has_begun && !is_over;
        return 1;
    }

    int begin(const CUVIDEOFORMAT &format) {
        int surfaces = std::min(format.min_num_decode_surfaces + 4, 32);
        if (decoder && format.coded_width == width && format.coded_height == height) return surfaces;
        if (decoder) driver.check(driver.decoder_destroy(decoder), "cuvidDestroyDecoder");
        CUVIDDECODECREATEINFO info{};
        info.CodecType = format.codec;
        info.ChromaFormat = format.chroma_format;
        info.bitDepthMinus8 = format.bit_depth_luma_minus8;
        info.OutputFormat = info.bitDepthMinus8 ? cudaVideoSurfaceFormat_P016 : cudaVideoSurfaceFormat_NV12;
        info.ulNumDecodeSurfaces = surfaces, info.ulNumOutputSurfaces = 2;
        info.ulCreationFlags = cudaVideoCreate_PreferCUVID;
        info.ulWidth = info.ulMaxWidth = info.ulTargetWidth = width = format.coded_width;
        info.ulHeight = info.ulMaxHeight = info.ulTargetHeight = height = format.coded_height;
        driver.check(driver.decoder_create(&decoder, &info), "cuvidCreateDecoder");
        return surfaces;
    }

    void work(CUcontext context, cudaVideoCodec codec, const std::vector<std::string> &streams, size_t first) {
        rnb::Current current(context);
        CUVIDPARSERPARAMS params{};
        params.CodecType = codec;
        params.ulMaxNumDecodeSurfaces = 1, params.ulMaxDisplayDelay = 4;
        params.pUserData = this;
        params.pfnSequenceCallback = sequence, params.pfnDecodePicture = decode, params.pfnDisplayPicture = display;
        driver.check(driver.parser_create(&parser, &params), "cuvidCreateVideoParser");
        play(streams[first % streams.size()]);
        ++num_ready;
        for (size_t number = first; !is_over; ++number) play(streams[number % streams.size()]);
        driver.parser_destroy(parser);
        driver.decoder_destroy(decoder);
    }

    void play(const std::string &stream) {
        CUVIDSOURCEDATAPACKET packet{};
        packet.payload = reinterpret_cast<const unsigned char *>(stream.data());
        packet.payload_size = stream.size();
        packet.flags = CUVID_PKT_ENDOFSTREAM;
        driver.check(driver.parse(parser, &packet), "cuvidParseVideoData");
    }
};

double cpu_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + 1e-6 * (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

} // namespace

int main(int argc, char **argv) try {
    if (argc < 5) throw std::runtime_error("THREADS SECONDS CODEC FILE...");
    std::vector<std::string> streams;
    for (int number = 4; number < argc; ++number) {
        std::ifstream file(argv[number], std::ios::binary);
        streams.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
        if (streams.back().empty()) throw std::runtime_error(std::string(argv[number]) + " is empty or not there");
    }
    rnb::Context context(0);
    std::vector<Worker> workers(size_t(std::atoi(argv[1])));
    std::vector<std::thread> threads;
    for (size_t number = 0; number < workers.size(); ++number)
        threads.emplace_back([&, number] {
            try {
                workers[number].work(context, cudaVideoCodec(std::atoi(argv[3])), streams, number);
            } catch (const std::exception &error) {
                std::fprintf(stderr, "raw_nvdec: %s\n", error.what());
                std::_Exit(1);
            }
        });
    while (num_ready < int(workers.size())) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    auto started = Clock::now();
    double cpu = cpu_seconds();
    has_begun = true;
    std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(argv[2])));
    is_over = true;
    double seconds = std::chrono::duration<double>(Clock::now() - started).count();
    cpu = cpu_seconds() - cpu;
    long frames = 0;
    for (auto &thread : threads) thread.join();
    for (auto &worker : workers) frames += worker.frames;
    std::printf("%.0f %.2f\n", double(frames) / seconds, cpu / seconds);
} catch (const std::exception &error) {
    std::fprintf(stderr, "raw_nvdec: %s\n", error.what());
    return 1;
}
