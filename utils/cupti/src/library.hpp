// Finds CUPTI and the CUDA driver at run time, so that the bridge builds, and loads, without a GPU.
#pragma once

#include <cuda.h>
#include <dlfcn.h>
#include <link.h>

#include <stdexcept>
#include <string>

namespace rnb {

// A shared library, opened at construction; its functions are looked up by name.
class Library {
   public:
    explicit Library(const char* soname) : handle_(dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {
        if (handle_ == nullptr) error_ = dlerror();
    }

    bool is_open() const { return handle_ != nullptr; }
    const std::string& error() const { return error_; }

    // The function's address, or null when this version of the library lacks it.
    void* find(const char* function) const { return is_open() ? dlsym(handle_, function) : nullptr; }

    // The folder that the loader found it in.
    std::string folder() const {
        link_map* map = nullptr;
        if (!is_open() || dlinfo(handle_, RTLD_DI_LINKMAP, &map) != 0) return "";
        const std::string path = map->l_name;
        return path.substr(0, path.rfind('/') + 1);
    }

   private:
    void* handle_;
    std::string error_;
};

// The loader hands out a libcupti that PyTorch has loaded already: one process must not hold two.
constexpr const char* kCuptiSoname =
#if CUDA_VERSION >= 14000
#error "CUDA 12 or 13 is needed"
#elif CUDA_VERSION >= 13000
    "libcupti.so.13";
#elif CUDA_VERSION >= 12000
    "libcupti.so.12";
#else
#error "CUDA 12 or 13 is needed"
#endif

    inline const Library & cupti_library() {
    static const Library library(kCuptiSoname);
    return library;
}

// CUPTI opens the libraries of its counters by their bare names: open those of its own folder first, so that
// neither LD_LIBRARY_PATH nor another version's copy is in play.
inline void open_counter_libraries() {
    static const bool opened = [] {
        for (const char* name : {"libnvperf_host.so", "libnvperf_target.so"})
            dlopen((cupti_library().folder() + name).c_str(), RTLD_LAZY | RTLD_LOCAL);
        return true;
    }();
    static_cast<void>(opened);
}

inline const Library& driver_library() {
    static const Library library("libcuda.so.1");
    return library;
}

}  // namespace rnb
