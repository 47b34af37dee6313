// Stands in for libcuda.so.1 and libnvcuvid.so.1 where there is no GPU. Each packet is one picture, filled with the sum of
// the packet's bytes; of more than DELAY the one with the least stamp is shown, and all when the stream ends. "Device memory"
// is the host's.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../../nvvl/native/ffnvcodec/dynlink_cuda.h"
#include "../../nvvl/native/ffnvcodec/dynlink_cuviddec.h"
#include "../../nvvl/native/ffnvcodec/dynlink_nvcuvid.h"

namespace {

constexpr unsigned PITCH = 1024;
constexpr size_t DELAY = 3;

struct Picture {
    int64_t stamp;
    uint8_t sum;
};

std::vector<Picture> shown;

struct Parser {
    CUVIDPARSERPARAMS params;
    std::vector<Picture> pictures;
    bool has_begun = false;

    CUresult show(size_t most_left) {
        while (pictures.size() > most_left) {
            auto least = std::min_element(pictures.begin(), pictures.end(), [](const Picture &one, const Picture &other) {
                return one.stamp < other.stamp;
            });
            CUVIDPARSERDISPINFO info{};
            info.picture_index = int(shown.size());
            info.timestamp = least->stamp;
            shown.push_back(*least);
            pictures.erase(least);
            if (!params.pfnDisplayPicture(params.pUserData, &info)) return CUDA_ERROR_UNKNOWN;
        }
        return CUDA_SUCCESS;
    }
};

struct Decoder {
    unsigned width, height;
    std::vector<uint8_t> mapped;
    bool is_mapped;
};

unsigned setting(const char *name) { return unsigned(std::atoi(std::getenv(name))); }

int num_contexts, num_parsers, num_decoders, num_maps;

} // namespace

extern "C" {

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int index) { return *device = index, CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRetain(CUcontext *, CUdevice) { return ++num_contexts, CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return --num_contexts, CUDA_SUCCESS; }
CUresult cuCtxPushCurrent_v2(CUcontext) { return CUDA_SUCCESS; }
CUresult cuCtxPopCurrent_v2(CUcontext *) { return CUDA_SUCCESS; }
CUresult cuGetErrorName(CUresult, const char **name) { return *name = "CUDA_ERROR_FAKE", CUDA_SUCCESS; }

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream) {
    for (size_t row = 0; row < copy->Height; ++row)
        std::memcpy(reinterpret_cast<uint8_t *>(copy->dstDevice) + row * copy->dstPitch,
                    reinterpret_cast<const uint8_t *>(copy->srcDevice) + (copy->srcY + row) * copy->srcPitch +
                        copy->srcXInBytes,
                    copy->WidthInBytes);
    return CUDA_SUCCESS;
}

CUresult cuvidGetDecoderCaps(CUVIDDECODECAPS *caps) {
    caps->bIsSupported = caps->eCodecType != cudaVideoCodec_AV1;
    caps->nMinWidth = caps->nMinHeight = 48;
    caps->nMaxWidth = caps->nMaxHeight = 4096;
    return CUDA_SUCCESS;
}

CUresult cuvidCreateVideoParser(CUvideoparser *parser, CUVIDPARSERPARAMS *params) {
    ++num_parsers;
    return *parser = reinterpret_cast<CUvideoparser>(new Parser{*params, {}, false}), CUDA_SUCCESS;
}

CUresult cuvidDestroyVideoParser(CUvideoparser parser) {
    --num_parsers;
    return delete reinterpret_cast<Parser *>(parser), CUDA_SUCCESS;
}

CUresult cuvidParseVideoData(CUvideoparser handle, CUVIDSOURCEDATAPACKET *packet) {
    Parser &parser = *reinterpret_cast<Parser *>(handle);
    void *user = parser.params.pUserData;
    if (packet->flags & CUVID_PKT_ENDOFSTREAM) return parser.has_begun = false, parser.show(0);
    if (!parser.has_begun) {
        unsigned width = setting("FAKE_WIDTH"), height = setting("FAKE_HEIGHT");
        CUVIDEOFORMAT format{};
        format.chroma_format = cudaVideoChromaFormat_420;
        format.min_num_decode_surfaces = 5;
        format.coded_width = (width + 15) / 16 * 16;
        format.coded_height = (height + 15) / 16 * 16;
        format.display_area = {0, 0, int(width), int(height)};
        if (!parser.params.pfnSequenceCallback(user, &format)) return CUDA_ERROR_UNKNOWN;
        parser.has_begun = true;
    }
    uint8_t sum = 0;
    for (unsigned long place = 0; place < packet->payload_size; ++place) sum += packet->payload[place];
    CUVIDPICPARAMS picture{};
    if (!parser.params.pfnDecodePicture(user, &picture)) return CUDA_ERROR_UNKNOWN;
    parser.pictures.push_back({packet->timestamp, sum});
    return parser.show(DELAY);
}

CUresult cuvidCreateDecoder(CUvideodecoder *decoder, CUVIDDECODECREATEINFO *info) {
    if (std::getenv("FAKE_REFUSES_DECODERS")) return CUDA_ERROR_UNKNOWN;
    ++num_decoders;
    *decoder = new Decoder{unsigned(info->ulTargetWidth), unsigned(info->ulTargetHeight), {}, false};
    return CUDA_SUCCESS;
}

CUresult cuvidReconfigureDecoder(CUvideodecoder handle, CUVIDRECONFIGUREDECODERINFO *info) {
    Decoder &decoder = *static_cast<Decoder *>(handle);
    decoder.width = info->ulTargetWidth, decoder.height = info->ulTargetHeight;
    return CUDA_SUCCESS;
}

CUresult cuvidDestroyDecoder(CUvideodecoder decoder) {
    --num_decoders;
    return delete static_cast<Decoder *>(decoder), CUDA_SUCCESS;
}

CUresult cuvidDecodePicture(CUvideodecoder, CUVIDPICPARAMS *) { return CUDA_SUCCESS; }

CUresult cuvidMapVideoFrame64(CUvideodecoder handle, int number, unsigned long long *address, unsigned *pitch,
                              CUVIDPROCPARAMS *) {
    Decoder &decoder = *static_cast<Decoder *>(handle);
    if (decoder.is_mapped) return CUDA_ERROR_UNKNOWN;
    ++num_maps, decoder.is_mapped = true;
    decoder.mapped.assign(size_t(PITCH) * decoder.height * 3 / 2, 0);
    uint8_t sum = shown[size_t(number)].sum;
    std::fill_n(decoder.mapped.begin(), size_t(PITCH) * decoder.height, sum);
    std::fill(decoder.mapped.begin() + size_t(PITCH) * decoder.height, decoder.mapped.end(), uint8_t(~sum));
    *address = reinterpret_cast<unsigned long long>(decoder.mapped.data());
    return *pitch = PITCH, CUDA_SUCCESS;
}

CUresult cuvidUnmapVideoFrame64(CUvideodecoder decoder, unsigned long long) {
    return static_cast<Decoder *>(decoder)->is_mapped = false, CUDA_SUCCESS;
}

// What is open: contexts, parsers, decoders; and how often pictures were mapped.
void fake_counts(int32_t counts[4]) {
    counts[0] = num_contexts, counts[1] = num_parsers, counts[2] = num_decoders, counts[3] = num_maps;
}
}
