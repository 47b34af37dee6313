// A decode session of a GPU's video engine: takes all packets of a run in one call, maps those pictures alone that are
// wanted, and copies each to its places, all in the order of one CUDA stream. nvvl/native_engine.py calls it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "driver.h"

namespace rnb {
namespace {

// Pictures that the parser may hold beyond what the stream needs.
constexpr unsigned SPARE_SURFACES = 4;
constexpr unsigned MOST_SURFACES = 32;

class OtherPictures : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What is fed. `stamps` are places in the order of display. `headers` go before the first packet. `length_size` is the number
// of bytes before each NAL unit that hold its length; 0: the packets go in as they are. With `goes_on` feeding stops when the
// first wanted picture has come, and the next call goes on behind; else the stream ends with the last packet. `fed` becomes
// the number of packets that went in.
struct Packets {
    const uint8_t *content;
    const int64_t *begins, *sizes, *stamps;
    int64_t count;
    const uint8_t *headers;
    int64_t headers_size;
    int32_t length_size, goes_on;
    int64_t fed;
};

// The pictures to keep: `count` pairs of a stamp, ascending, and a place in `surfaces`, each `width` x `height` of NV12 or
// P016 without padding. `arrived[i]` becomes 1.
struct Wanted {
    const int64_t *stamps, *places;
    uint8_t *arrived;
    int64_t count;
    CUdeviceptr surfaces;
    int32_t width, height;
};

class Session {
  public:
    // `delay`: by how many pictures decoding may run ahead of mapping.
    Session(int device, int codec, int bit_depth, unsigned max_width, unsigned max_height, unsigned delay, CUstream stream)
        : driver_(Driver::get()), context_(device), codec_(static_cast<cudaVideoCodec>(codec)), bit_depth_(bit_depth), max_width_(max_width),
          max_height_(max_height), stream_(stream) {
        CUVIDPARSERPARAMS params{};
        params.CodecType = codec_;
        params.ulMaxNumDecodeSurfaces = 1; // on_sequence says how many.
        params.ulMaxDisplayDelay = delay;
        params.pUserData = this;
        params.pfnSequenceCallback = [](void *self, CUVIDEOFORMAT *format) {
            return static_cast<Session *>(self)->guarded([&](Session &session) { return session.on_sequence(*format); });
        };
        params.pfnDecodePicture = [](void *self, CUVIDPICPARAMS *picture) {
            return static_cast<Session *>(self)->guarded([&](Session &session) { return session.on_decode(picture); });
        };
        params.pfnDisplayPicture = [](void *self, CUVIDPARSERDISPINFO *info) {
            return static_cast<Session *>(self)->guarded([&](Session &session) { return info ? session.on_display(*info) : 1; });
        };
        driver_.check(driver_.parser_create(&parser_, &params), "cuvidCreateVideoParser");
    }

    ~Session() {
        driver_.context_push(context_);
        driver_.parser_destroy(parser_);
        if (decoder_) driver_.decoder_destroy(decoder_);
        CUcontext popped;
        driver_.context_pop(&popped);
    }

    // After an exception the session is to be closed: pictures of this run may still be inside.
    void decode(Packets &packets, const Wanted &wanted) {
        Current current(context_);
        wanted_ = &wanted;
        failure_ = nullptr;
        for (packets.fed = 0; packets.fed < packets.count; ++packets.fed) {
            if (packets.goes_on && wanted.arrived[0]) return;
            gather(packets, packets.fed);
            feed(CUVID_PKT_TIMESTAMP, packets.stamps[packets.fed]);
        }
        if (packets.goes_on) return;
        access_unit_.clear();
        feed(CUVID_PKT_ENDOFSTREAM, 0);
    }

  private:
    // An exception must not pass through the driver: it is kept, and 0 makes the parser stop.
    template <typename Call> int guarded(Call call) {
        if (failure_) return 0;
        try {
            return call(*this);
        } catch (...) {
            failure_ = std::current_exception();
            return 0;
        }
    }

    void feed(unsigned long flags, int64_t stamp) {
        CUVIDSOURCEDATAPACKET packet{};
        packet.flags = flags;
        packet.payload = access_unit_.data();
        packet.payload_size = access_unit_.size();
        packet.timestamp = stamp;
        CUresult result = driver_.parse(parser_, &packet);
        if (failure_) std::rethrow_exception(failure_);
        driver_.check(result, "cuvidParseVideoData");
    }

    // Puts a packet into access_unit_, with start codes for lengths, the first one behind the stream's headers.
    void gather(const Packets &packets, int64_t number) {
        static constexpr uint8_t START_CODE[] = {0, 0, 0, 1};
        access_unit_.clear();
        if (number == 0) access_unit_.insert(access_unit_.end(), packets.headers, packets.headers + packets.headers_size);
        const uint8_t *place = packets.content + packets.begins[number], *end = place + packets.sizes[number];
        if (!packets.length_size) {
            access_unit_.insert(access_unit_.end(), place, end);
            return;
        }
        while (end - place > packets.length_size) {
            int64_t size = 0;
            for (int byte = 0; byte < packets.length_size; ++byte) size = size << 8 | *place++;
            size = std::min<int64_t>(size, end - place);
            if (size > 1) {
                access_unit_.insert(access_unit_.end(), START_CODE, START_CODE + sizeof START_CODE);
                access_unit_.insert(access_unit_.end(), place, place + size);
            }
            place += size;
        }
    }

    // Returns how many surfaces the parser may use.
    int on_sequence(const CUVIDEOFORMAT &format) {
        unsigned width = format.display_area.right - format.display_area.left;
        unsigned height = format.display_area.bottom - format.display_area.top;
        if (width != unsigned(wanted_->width) || height != unsigned(wanted_->height))
            throw OtherPictures("the size of its pictures changes");
        if (format.chroma_format != cudaVideoChromaFormat_420 || format.bit_depth_luma_minus8 + 8 != bit_depth_)
            throw OtherPictures("the format of its pictures changes");
        unsigned surfaces = std::min(format.min_num_decode_surfaces + SPARE_SURFACES, MOST_SURFACES);
        area_ = {format.display_area.left, format.display_area.top};
        if (!decoder_ || surfaces > created_.ulNumDecodeSurfaces || format.coded_width > created_.ulMaxWidth ||
            format.coded_height > created_.ulMaxHeight)
            create(format, surfaces);
        else if (format.coded_width != created_.ulWidth || format.coded_height != created_.ulHeight)
            reconfigure(format);
        return int(created_.ulNumDecodeSurfaces);
    }

    void create(const CUVIDEOFORMAT &format, unsigned surfaces) {
        if (decoder_) driver_.decoder_destroy(decoder_);
        decoder_ = nullptr;
        created_ = {};
        created_.CodecType = codec_;
        created_.ChromaFormat = format.chroma_format;
        created_.OutputFormat = bit_depth_ > 8 ? cudaVideoSurfaceFormat_P016 : cudaVideoSurfaceFormat_NV12;
        created_.bitDepthMinus8 = format.bit_depth_luma_minus8;
        created_.DeinterlaceMode = cudaVideoDeinterlaceMode_Weave;
        created_.ulCreationFlags = cudaVideoCreate_PreferCUVID;
        created_.ulNumOutputSurfaces = 2;
        created_.ulNumDecodeSurfaces = surfaces;
        created_.ulMaxWidth = std::max(max_width_, format.coded_width);
        created_.ulMaxHeight = std::max(max_height_, format.coded_height);
        created_.ulWidth = created_.ulTargetWidth = format.coded_width;
        created_.ulHeight = created_.ulTargetHeight = format.coded_height;
        driver_.check(driver_.decoder_create(&decoder_, &created_), "cuvidCreateDecoder");
    }

    void reconfigure(const CUVIDEOFORMAT &format) {
        CUVIDRECONFIGUREDECODERINFO info{};
        info.ulWidth = info.ulTargetWidth = created_.ulWidth = created_.ulTargetWidth = format.coded_width;
        info.ulHeight = info.ulTargetHeight = created_.ulHeight = created_.ulTargetHeight = format.coded_height;
        info.ulNumDecodeSurfaces = created_.ulNumDecodeSurfaces;
        driver_.check(driver_.decoder_reconfigure(decoder_, &info), "cuvidReconfigureDecoder");
    }

    int on_decode(CUVIDPICPARAMS *picture) {
        if (!decoder_) throw DriverError("there is a picture before its parameters");
        driver_.check(driver_.decode(decoder_, picture), "cuvidDecodePicture");
        return 1;
    }

    int on_display(const CUVIDPARSERDISPINFO &info) {
        const int64_t *end = wanted_->stamps + wanted_->count;
        const int64_t *first = std::lower_bound(wanted_->stamps, end, int64_t(info.timestamp));
        if (first != end && *first == info.timestamp) keep(info, first - wanted_->stamps);
        return 1;
    }

    void keep(const CUVIDPARSERDISPINFO &info, int64_t number) {
        CUVIDPROCPARAMS params{};
        params.progressive_frame = info.progressive_frame;
        params.second_field = info.repeat_first_field + 1;
        params.top_field_first = info.top_field_first;
        params.unpaired_field = info.repeat_first_field < 0;
        params.output_stream = stream_;
        unsigned long long picture = 0;
        unsigned int pitch = 0;
        driver_.check(driver_.map(decoder_, info.picture_index, &picture, &pitch, &params), "cuvidMapVideoFrame");
        // Unmapped without waiting: what the engine does next with this memory is on the same stream.
        try {
            for (; number < wanted_->count && wanted_->stamps[number] == info.timestamp; ++number) {
                copy(picture, pitch, wanted_->places[number]);
                wanted_->arrived[number] = 1;
            }
        } catch (...) {
            driver_.unmap(decoder_, picture);
            throw;
        }
        driver_.check(driver_.unmap(decoder_, picture), "cuvidUnmapVideoFrame");
    }

    void copy(CUdeviceptr picture, size_t pitch, int64_t place) const {
        size_t code = bit_depth_ > 8 ? 2 : 1, width = wanted_->width, height = wanted_->height;
        CUDA_MEMCPY2D plane{};
        plane.srcMemoryType = plane.dstMemoryType = CU_MEMORYTYPE_DEVICE;
        plane.srcPitch = pitch;
        plane.dstPitch = plane.WidthInBytes = width * code;
        plane.srcXInBytes = area_.left * code;
        plane.srcDevice = picture;
        plane.srcY = area_.top;
        plane.dstDevice = wanted_->surfaces + place * (height + height / 2) * width * code;
        plane.Height = height;
        driver_.check(driver_.copy(&plane, stream_), "cuMemcpy2DAsync");
        plane.srcDevice += pitch * ((created_.ulTargetHeight + 1) / 2 * 2);
        plane.srcY = area_.top / 2;
        plane.dstDevice += height * width * code;
        plane.Height = height / 2;
        driver_.check(driver_.copy(&plane, stream_), "cuMemcpy2DAsync");
    }

    const Driver &driver_;
    const Context context_;
    const cudaVideoCodec codec_;
    const int bit_depth_;
    const unsigned max_width_, max_height_;
    const CUstream stream_;
    CUvideoparser parser_{};
    CUvideodecoder decoder_{};
    CUVIDDECODECREATEINFO created_{};
    struct {
        int left, top;
    } area_{};
    const Wanted *wanted_{};
    std::exception_ptr failure_;
    std::vector<uint8_t> access_unit_;
};

enum Status { DONE = 0, REFUSED = 1, OTHER_PICTURES = 2 };

template <typename Call> int told(char *message, int64_t size, Call call) {
    try {
        call();
        return DONE;
    } catch (const OtherPictures &error) {
        std::snprintf(message, size, "%s", error.what());
        return OTHER_PICTURES;
    } catch (const std::exception &error) {
        std::snprintf(message, size, "%s", error.what());
        return REFUSED;
    }
}

} // namespace
} // namespace rnb

#define EXPORTED extern "C" __attribute__((visibility("default")))

// What it was built from, so that nobody calls functions that have changed since.
EXPORTED const char *rnb_source() { return RNB_SOURCE; }

// Each returns a Status, and but for DONE writes a line into `message`.

// Whether there is a driver. It starts nothing, so that the process may still fork.
EXPORTED int rnb_find_driver(char *message, int64_t size) {
    return rnb::told(message, size, [] { rnb::Driver::get(); });
}

EXPORTED int rnb_capabilities(int device, int codec, int bit_depth, int32_t limits[4], char *message, int64_t size) {
    return rnb::told(message, size, [&] {
        const rnb::Driver &driver = rnb::Driver::get();
        rnb::Context context(device);
        CUVIDDECODECAPS caps{};
        caps.eCodecType = static_cast<cudaVideoCodec>(codec);
        caps.eChromaFormat = cudaVideoChromaFormat_420;
        caps.nBitDepthMinus8 = bit_depth - 8;
        rnb::Current current(context);
        driver.check(driver.capabilities(&caps), "cuvidGetDecoderCaps");
        std::memset(limits, 0, 4 * sizeof *limits);
        if (!caps.bIsSupported) return;
        limits[0] = caps.nMinWidth, limits[1] = caps.nMinHeight;
        limits[2] = int32_t(caps.nMaxWidth), limits[3] = int32_t(caps.nMaxHeight);
    });
}

EXPORTED int rnb_open(int device, int codec, int bit_depth, uint32_t max_width, uint32_t max_height, uint32_t delay,
                      void *stream, void **session, char *message, int64_t size) {
    return rnb::told(message, size, [&] {
        *session = new rnb::Session(device, codec, bit_depth, max_width, max_height, delay, static_cast<CUstream>(stream));
    });
}

EXPORTED int rnb_decode(void *session, rnb::Packets *packets, const rnb::Wanted *wanted, char *message, int64_t size) {
    return rnb::told(message, size, [&] { static_cast<rnb::Session *>(session)->decode(*packets, *wanted); });
}

EXPORTED void rnb_close(void *session) { delete static_cast<rnb::Session *>(session); }
