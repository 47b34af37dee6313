// Theoretical occupancy: how many warps of a kernel a multiprocessor can hold at once, in % of what it could
// hold.
#pragma once

#include <cuda_occupancy.h>

#include <algorithm>
#include <cstddef>

#include "errors.hpp"

namespace rnb {

// What bounds the number of resident blocks on one multiprocessor.
struct DeviceLimits {
    int compute_major = 0;
    int compute_minor = 0;
    int max_threads_per_block = 0;
    int max_threads_per_sm = 0;
    int registers_per_block = 0;
    int registers_per_sm = 0;
    int warp_size = 32;
    size_t shared_bytes_per_block = 0;
    size_t shared_bytes_per_block_optin = 0;
    size_t shared_bytes_per_sm = 0;
    size_t reserved_shared_bytes_per_block = 0;
    int num_sms = 0;
};

inline int device_attribute(CUdevice device, CUdevice_attribute attribute) {
    int value = 0;
    RNB_DRIVER(cuDeviceGetAttribute, &value, attribute, device);
    return value;
}

inline DeviceLimits read_device_limits(int ordinal) {
    CUdevice device = 0;
    RNB_DRIVER(cuInit, 0);
    RNB_DRIVER(cuDeviceGet, &device, ordinal);
    auto get = [device](CUdevice_attribute attribute) { return device_attribute(device, attribute); };
    DeviceLimits limits;
    limits.compute_major = get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    limits.compute_minor = get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    limits.max_threads_per_block = get(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    limits.max_threads_per_sm = get(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
    limits.registers_per_block = get(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
    limits.registers_per_sm = get(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
    limits.warp_size = get(CU_DEVICE_ATTRIBUTE_WARP_SIZE);
    limits.shared_bytes_per_block = get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
    limits.shared_bytes_per_block_optin = get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    limits.shared_bytes_per_sm = get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
    limits.reserved_shared_bytes_per_block = get(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
    limits.num_sms = get(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    return limits;
}

inline cudaOccDeviceProp occupancy_device(const DeviceLimits& limits) {
    cudaOccDeviceProp device;
    device.computeMajor = limits.compute_major;
    device.computeMinor = limits.compute_minor;
    device.maxThreadsPerBlock = limits.max_threads_per_block;
    device.maxThreadsPerMultiprocessor = limits.max_threads_per_sm;
    device.regsPerBlock = limits.registers_per_block;
    device.regsPerMultiprocessor = limits.registers_per_sm;
    device.warpSize = limits.warp_size;
    device.sharedMemPerBlock = limits.shared_bytes_per_block;
    device.sharedMemPerMultiprocessor = limits.shared_bytes_per_sm;
    device.numSms = limits.num_sms;
    device.sharedMemPerBlockOptin = limits.shared_bytes_per_block_optin;
    device.reservedSharedMemPerBlock = limits.reserved_shared_bytes_per_block;
    return device;
}

// In %, by NVIDIA's calculator (cuda_occupancy.h); NaN for a device that this version of it does not know.
// `shared_config_bytes` is the shared memory that the launch had on its multiprocessor; 0 means the most
// there is.
inline double theoretical_occupancy_pct(const DeviceLimits& limits, int threads_per_block,
                                        int registers_per_thread, size_t static_shared_bytes,
                                        size_t dynamic_shared_bytes, size_t shared_config_bytes) {
    if (threads_per_block <= 0 || limits.max_threads_per_sm <= 0) return NAN;
    const cudaOccDeviceProp device = occupancy_device(limits);
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = limits.max_threads_per_block;
    kernel.numRegs = registers_per_thread;
    kernel.sharedSizeBytes = static_shared_bytes;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = dynamic_shared_bytes;
    kernel.numBlockBarriers = 1;
    cudaOccDeviceState state;
    if (shared_config_bytes > 0 && limits.shared_bytes_per_sm > 0)
        state.carveoutConfig =
            static_cast<int>(std::min<size_t>(100, shared_config_bytes * 100 / limits.shared_bytes_per_sm));
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads_per_block,
                                                dynamic_shared_bytes) != CUDA_OCC_SUCCESS)
        return NAN;
    const int warps_per_block = (threads_per_block + limits.warp_size - 1) / limits.warp_size;
    const int max_warps = limits.max_threads_per_sm / limits.warp_size;
    return 100.0 * std::min(max_warps, result.activeBlocksPerMultiprocessor * warps_per_block) / max_warps;
}

}  // namespace rnb
