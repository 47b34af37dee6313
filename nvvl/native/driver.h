// The functions of NVIDIA's driver that decode video. They are looked up when the program runs, so that building needs
// neither CUDA nor a GPU; their declarations are those of nv-codec-headers (ffnvcodec/, MIT licence).
#pragma once

#include <dlfcn.h>

#include <stdexcept>
#include <string>

#include "ffnvcodec/dynlink_cuda.h"
#include "ffnvcodec/dynlink_cuviddec.h"
#include "ffnvcodec/dynlink_nvcuvid.h"

namespace rnb {

class DriverError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Driver {
    tcuInit *init;
    tcuDeviceGet *device_get;
    tcuDevicePrimaryCtxRetain *context_retain;
    tcuDevicePrimaryCtxRelease *context_release;
    tcuCtxPushCurrent_v2 *context_push;
    tcuCtxPopCurrent_v2 *context_pop;
    tcuMemcpy2DAsync_v2 *copy;
    tcuGetErrorName *error_name;
    tcuvidGetDecoderCaps *capabilities;
    tcuvidCreateVideoParser *parser_create;
    tcuvidParseVideoData *parse;
    tcuvidDestroyVideoParser *parser_destroy;
    tcuvidCreateDecoder *decoder_create;
    tcuvidReconfigureDecoder *decoder_reconfigure;
    tcuvidDestroyDecoder *decoder_destroy;
    tcuvidDecodePicture *decode;
    tcuvidMapVideoFrame *map;
    tcuvidUnmapVideoFrame *unmap;

    // Throws DriverError where this machine has no such driver. Nothing of it is started yet.
    static const Driver &get() {
        static const Driver driver;
        return driver;
    }

    void check(CUresult result, const char *what) const {
        if (result == CUDA_SUCCESS) return;
        const char *name = nullptr;
        error_name(result, &name);
        throw DriverError(std::string(what) + ": " + (name ? name : std::to_string(result)));
    }

  private:
    Driver() {
        void *cuda = open("libcuda.so.1"), *video = open("libnvcuvid.so.1");
        find(cuda, "cuInit", init);
        find(cuda, "cuDeviceGet", device_get);
        find(cuda, "cuDevicePrimaryCtxRetain", context_retain);
        find(cuda, "cuDevicePrimaryCtxRelease_v2", context_release);
        find(cuda, "cuCtxPushCurrent_v2", context_push);
        find(cuda, "cuCtxPopCurrent_v2", context_pop);
        find(cuda, "cuMemcpy2DAsync_v2", copy);
        find(cuda, "cuGetErrorName", error_name);
        find(video, "cuvidGetDecoderCaps", capabilities);
        find(video, "cuvidCreateVideoParser", parser_create);
        find(video, "cuvidParseVideoData", parse);
        find(video, "cuvidDestroyVideoParser", parser_destroy);
        find(video, "cuvidCreateDecoder", decoder_create);
        find(video, "cuvidReconfigureDecoder", decoder_reconfigure);
        find(video, "cuvidDestroyDecoder", decoder_destroy);
        find(video, "cuvidDecodePicture", decode);
        find(video, "cuvidMapVideoFrame64", map);
        find(video, "cuvidUnmapVideoFrame64", unmap);
    }

    static void *open(const char *name) {
        void *library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
        if (!library) throw DriverError(std::string("NVIDIA's driver is missing: ") + dlerror());
        return library;
    }

    template <typename Function> static void find(void *library, const char *name, Function *&function) {
        function = reinterpret_cast<Function *>(dlsym(library, name));
        if (!function) throw DriverError(std::string("NVIDIA's driver has no ") + name);
    }
};

// A GPU's primary context, the one that PyTorch uses.
class Context {
  public:
    explicit Context(int device) {
        const Driver &driver = Driver::get();
        driver.check(driver.init(0), "cuInit");
        driver.check(driver.device_get(&device_, device), "cuDeviceGet");
        driver.check(driver.context_retain(&context_, device_), "cuDevicePrimaryCtxRetain");
    }
    ~Context() { Driver::get().context_release(device_); }
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;
    operator CUcontext() const { return context_; }

  private:
    CUdevice device_{};
    CUcontext context_{};
};

// Makes a context the current one of this thread for as long as this lives.
class Current {
  public:
    explicit Current(CUcontext context) { Driver::get().check(Driver::get().context_push(context), "cuCtxPushCurrent"); }
    ~Current() {
        CUcontext context;
        Driver::get().context_pop(&context);
    }
    Current(const Current &) = delete;
    Current &operator=(const Current &) = delete;
};

} // namespace rnb
