// A failed CUPTI or driver call becomes one C++ exception, and that one a Python exception.
#pragma once

#include <cupti.h>
#include <pybind11/pybind11.h>

#include "library.hpp"

namespace rnb {

// `unavailable` separates 'this machine does not offer it' from a mistake in how it was used.
struct CuptiFailure : std::runtime_error {
    CuptiFailure(std::string message, std::string function, int code, bool unavailable)
        : std::runtime_error(std::move(message)),
          function(std::move(function)),
          code(code),
          unavailable(unavailable) {}
    std::string function;
    int code;
    bool unavailable;
};

// Results that the headers of early CUDA 12 do not name; cupti_result.h of CUDA 13 does.
enum LaterResult {
    kConfidentialComputing = 41,
    kMiningDevice = 42,
    kMigDevice = 43,
    kSliDevice = 44,
    kWslDevice = 45,
    kInvalidChipName = 46,
};

// What to do about a result that says that this machine does not offer counters or tracing; null for others.
inline const char* remedy(int result) {
    switch (result) {
        case CUPTI_ERROR_NOT_INITIALIZED:
        case CUPTI_ERROR_INVALID_DEVICE:
            return "no usable NVIDIA GPU or driver; check that nvidia-smi lists the GPU";
        case CUPTI_ERROR_INSUFFICIENT_PRIVILEGES:
        case CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES:
            return "no permission to read the GPU's counters; run as root, or load the nvidia module with "
                   "NVreg_RestrictProfilingToAdminUsers=0 (developer.nvidia.com/ERR_NVGPUCTRPERM)";
        case CUPTI_ERROR_HARDWARE_BUSY:
            return "another profiler holds the GPU's counters (ncu, DCGM, a second sampler); end it first";
        case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
            return "another CUPTI client is active in this process (torch.profiler, nsys, ncu); use one at a "
                   "time";
        case CUPTI_ERROR_DISABLED:
            return "another profiler has disabled CUPTI; use one at a time";
        case CUPTI_ERROR_NOT_SUPPORTED:
        case CUPTI_ERROR_LEGACY_PROFILER_NOT_SUPPORTED:
        case kInvalidChipName:
            return "not supported on this GPU, driver or mode; counters need compute capability 7.5 or later";
        case CUPTI_ERROR_VIRTUALIZED_DEVICE_NOT_SUPPORTED:
        case kConfidentialComputing:
        case kMiningDevice:
        case kMigDevice:
        case kSliDevice:
        case kWslDevice:
            return "this kind of device (virtualized, confidential, mining, MIG, SLI or WSL) does not offer "
                   "it";
        default:
            return nullptr;
    }
}

// The function of a library, found by the name that its header declares.
template <typename Function>
Function resolve(const Library& library, const char* name) {
    if (void* address = library.find(name)) return reinterpret_cast<Function>(address);
    if (!library.is_open()) throw CuptiFailure(library.error() + ": no NVIDIA driver here", name, 0, true);
    throw CuptiFailure(std::string(name) + " is missing from the CUPTI or driver loaded here: it is too old",
                       name, 0, true);
}

#define RNB_RESOLVE(library, function)                                                         \
    ([]() {                                                                                    \
        static const auto address = ::rnb::resolve<decltype(&function)>(library(), #function); \
        return address;                                                                        \
    }())

inline std::string result_name(CUptiResult result) {
    const char* name = nullptr;
    RNB_RESOLVE(cupti_library, cuptiGetResultString)(result, &name);
    return name == nullptr ? "CUPTI result" : name;
}

inline void check_cupti(CUptiResult result, const char* function) {
    if (result == CUPTI_SUCCESS) return;
    std::string message =
        std::string(function) + " failed: " + result_name(result) + " (" + std::to_string(result) + ")";
    const char* advice = remedy(result);
    if (advice != nullptr) message += std::string(": ") + advice;
    throw CuptiFailure(message, function, result, advice != nullptr);
}

inline void check_driver(CUresult result, const char* function) {
    if (result == CUDA_SUCCESS) return;
    const char* name = nullptr;
    RNB_RESOLVE(driver_library, cuGetErrorName)(result, &name);
    throw CuptiFailure(std::string(function) + " failed: " + (name == nullptr ? "unknown" : name) + " (" +
                           std::to_string(result) + "): no usable NVIDIA GPU or driver",
                       function, result, true);
}

// Calls a CUPTI (or driver) function and throws CuptiFailure, with its name, unless it succeeds.
#define RNB_CUPTI(function, ...) \
    ::rnb::check_cupti(RNB_RESOLVE(::rnb::cupti_library, function)(__VA_ARGS__), #function)
#define RNB_DRIVER(function, ...) \
    ::rnb::check_driver(RNB_RESOLVE(::rnb::driver_library, function)(__VA_ARGS__), #function)

// The Python classes live in utils/cupti/errors.py, which also works where the bridge is not built.
inline void register_failure_translator() {
    pybind11::register_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) std::rethrow_exception(pointer);
        } catch (const CuptiFailure& failure) {
            auto errors = pybind11::module_::import("utils.cupti.errors");
            auto type = errors.attr(failure.unavailable ? "CuptiUnavailable" : "CuptiError");
            auto error = type(failure.what(), failure.function, failure.code);
            PyErr_SetObject(type.ptr(), error.ptr());
        }
    });
}

}  // namespace rnb
