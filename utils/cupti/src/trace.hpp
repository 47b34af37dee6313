// The tracer: CUPTI's activity records of kernels and memory operations, kept until Python reads them.
//
//   CUPTI ─buffer_requested─▶ an empty buffer (any thread that launches work)
//   CUPTI ─buffer_completed─▶ records ─▶ Tracer (CUPTI's worker thread, or the one that flushes)
//
// Neither callback needs Python's lock; all that they share is behind one mutex.
#pragma once

#include <cupti.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "clock.hpp"
#include "occupancy.hpp"
#include "subscriber.hpp"

// The newest records that the headers at hand describe; build_cupti.sh reads their names there.
#ifndef RNB_KERNEL_RECORD
#error "compile with ./build_cupti.sh, which passes the names of CUPTI's current activity records"
#endif

namespace rnb {

// 8 MB, the size that NVIDIA's own CUPTI samples use; the allocation's start must be 8-byte aligned.
constexpr size_t kActivityBufferBytes = 8u << 20;
constexpr size_t kActivityBufferAlignment = 8;
constexpr size_t kMaxSpareBuffers = 8;

struct KernelRecord {
    const std::string* name;
    uint64_t start_ns, end_ns;
    uint32_t device, context, stream, correlation_id;
    std::array<int32_t, 3> grid, block;
    uint16_t registers_per_thread;
    int32_t static_shared_bytes, dynamic_shared_bytes;
    uint32_t shared_config_bytes;
};

struct CopyRecord {
    const char* kind;
    uint64_t bytes, start_ns, end_ns;
    uint32_t device, context, stream, correlation_id;
};

constexpr uint32_t kNoRegion = UINT32_MAX;

// The API calls that launch kernels, copies and sets. CUPTI's own external correlation ids would need a
// record of every API call, which costs about twice as much (docs/cupti.md).
inline const std::vector<ApiCall>& region_calls() {
    static const std::vector<ApiCall> calls = [] {
        std::vector<ApiCall> all = driver_launches();
        for (CUpti_CallbackId id :
             {CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch, CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuMemcpyAsync, CUPTI_DRIVER_TRACE_CBID_cuMemcpyAsync_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuMemcpyHtoDAsync_v2, CUPTI_DRIVER_TRACE_CBID_cuMemcpyHtoDAsync_v2_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoHAsync_v2, CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoHAsync_v2_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoDAsync_v2, CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoDAsync_v2_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuMemcpy2DAsync_v2, CUPTI_DRIVER_TRACE_CBID_cuMemcpyPeerAsync,
              CUPTI_DRIVER_TRACE_CBID_cuMemsetD8Async, CUPTI_DRIVER_TRACE_CBID_cuMemsetD8Async_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuMemsetD32Async, CUPTI_DRIVER_TRACE_CBID_cuMemsetD32Async_ptsz})
            all.emplace_back(CUPTI_CB_DOMAIN_DRIVER_API, id);
        for (CUpti_CallbackId id :
             {CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000,
              CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_ptsz_v7000,
              CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernelExC_v11060,
              CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernelExC_ptsz_v11060,
              CUPTI_RUNTIME_TRACE_CBID_cudaLaunchCooperativeKernel_v9000,
              CUPTI_RUNTIME_TRACE_CBID_cudaLaunchCooperativeKernel_ptsz_v9000,
              CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_v10000,
              CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_ptsz_v10000, CUPTI_RUNTIME_TRACE_CBID_cudaMemcpy_v3020,
              CUPTI_RUNTIME_TRACE_CBID_cudaMemcpyAsync_v3020,
              CUPTI_RUNTIME_TRACE_CBID_cudaMemcpyAsync_ptsz_v7000,
              CUPTI_RUNTIME_TRACE_CBID_cudaMemcpy2DAsync_v3020,
              CUPTI_RUNTIME_TRACE_CBID_cudaMemcpy2DAsync_ptsz_v7000,
              CUPTI_RUNTIME_TRACE_CBID_cudaMemcpyPeerAsync_v4000, CUPTI_RUNTIME_TRACE_CBID_cudaMemset_v3020,
              CUPTI_RUNTIME_TRACE_CBID_cudaMemsetAsync_v3020,
              CUPTI_RUNTIME_TRACE_CBID_cudaMemsetAsync_ptsz_v7000})
            all.emplace_back(CUPTI_CB_DOMAIN_RUNTIME_API, id);
        return all;
    }();
    return calls;
}

// The step and request that were current on the thread which launched something.
struct Region {
    const std::string* step = nullptr;
    int64_t request = -1;
};

inline const char* copy_kind_name(uint8_t kind) {
    switch (kind) {
        case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD:
            return "host to device";
        case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH:
            return "device to host";
        case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD:
            return "device to device";
        case CUPTI_ACTIVITY_MEMCPY_KIND_HTOH:
            return "host to host";
        case CUPTI_ACTIVITY_MEMCPY_KIND_PTOP:
            return "peer to peer";
        default:
            return "array or unknown";
    }
}

class Tracer {
   public:
    // Never destroyed: CUPTI may deliver buffers while the process ends.
    static Tracer& instance() {
        static Tracer* tracer = new Tracer();
        return *tracer;
    }

    void initialize(bool correlate, bool copies) {
        if (active_)
            throw std::runtime_error("cupti.initialize(): tracing already; call cupti.finalize() first");
        RNB_DRIVER(cuInit, 0);  // without a driver CUPTI only says 'unknown error'
        clear();
        subscriber_ = Subscriber::claim();
        correlating_ = correlate;
        with_copies_ = copies;
        active_ = true;
        try {
            start();
        } catch (...) {
            end();
            throw;
        }
    }

    void finalize() {
        if (!active_) return;
        flush();
        end();
    }

    // Returns once every record of work that has completed on the device has arrived.
    void flush() {
        if (!active_) throw std::runtime_error("cupti.flush(): not tracing; call cupti.initialize() first");
        synchronize_context();
        RNB_CUPTI(cuptiActivityFlushAll, 0);
        RNB_CUPTI(cuptiActivityFlushAll, CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
    }

    void clear() {
        std::lock_guard<std::mutex> lock(mutex_);
        kernel_records_.clear();
        copy_records_.clear();
        region_of_launch_.clear();
        num_dropped_ = 0;
    }

    bool active() const { return active_; }

    // Work that this thread launches until pop_region() belongs to `step` and `request`; regions nest.
    void push_region(const std::string& step, int64_t request) {
        current_regions().push_back(correlating_ ? region_number(step, request) : kNoRegion);
    }

    void pop_region() {
        if (!current_regions().empty()) current_regions().pop_back();
    }

    // In order of start: buffers of several threads and streams arrive in any order.
    std::vector<KernelRecord> kernels() { return sorted(kernel_records_); }
    std::vector<CopyRecord> copies() { return sorted(copy_records_); }

    Region region_of(uint32_t correlation_id) {
        std::lock_guard<std::mutex> lock(mutex_);
        auto found = region_of_launch_.find(correlation_id);
        return found == region_of_launch_.end() ? Region{} : regions_[found->second];
    }

    uint64_t num_dropped() {
        std::lock_guard<std::mutex> lock(mutex_);
        return num_dropped_;
    }

    double theoretical_pct(const KernelRecord& kernel) {
        const DeviceLimits& limits = limits_of(kernel.device);
        return theoretical_occupancy_pct(limits, kernel.block[0] * kernel.block[1] * kernel.block[2],
                                         kernel.registers_per_thread, kernel.static_shared_bytes,
                                         kernel.dynamic_shared_bytes, kernel.shared_config_bytes);
    }

   private:
    Tracer() = default;

    void start() {
        use_monotonic_clock();
        RNB_CUPTI(cuptiActivityRegisterCallbacks, &Tracer::buffer_requested, &Tracer::buffer_completed);
        if (correlating_)
            subscriber_->listen(region_calls(),
                                [this](const CUpti_CallbackData& call) { note_launch(call); });
        if (with_copies_) {
            enable(CUPTI_ACTIVITY_KIND_MEMCPY);
            enable(CUPTI_ACTIVITY_KIND_MEMCPY2);
            enable(CUPTI_ACTIVITY_KIND_MEMSET);
        }
        enable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
    }

    void end() noexcept {
        if (correlating_) subscriber_->stop_listening();
        active_ = correlating_ = false;
        disable_kinds();
        subscriber_.reset();
    }

    void enable(CUpti_ActivityKind kind) {
        RNB_CUPTI(cuptiActivityEnable, kind);
        enabled_.push_back(kind);
    }

    // Best effort: it also runs while another error is on its way out.
    void disable_kinds() noexcept {
        for (CUpti_ActivityKind kind : enabled_) RNB_RESOLVE(cupti_library, cuptiActivityDisable)(kind);
        enabled_.clear();
    }

    // Kernels that still run would be missing from a flush.
    static void synchronize_context() {
        CUcontext context = nullptr;
        RNB_DRIVER(cuCtxGetCurrent, &context);
        if (context != nullptr) RNB_DRIVER(cuCtxSynchronize);
    }

    // The regions open on this thread, outermost first.
    static std::vector<uint32_t>& current_regions() {
        thread_local std::vector<uint32_t> regions;
        return regions;
    }

    uint32_t region_number(const std::string& step, int64_t request) {
        std::lock_guard<std::mutex> lock(mutex_);
        const std::string* name = intern(step);
        auto [entry, is_new] = region_numbers_.try_emplace({name, request}, regions_.size());
        if (is_new) regions_.push_back({name, request});
        return entry->second;
    }

    // A kernel's record carries the correlation id of the API call that launched it: of the runtime's call
    // where there was one, else of the driver's.
    void note_launch(const CUpti_CallbackData& call) {
        const std::vector<uint32_t>& regions = current_regions();
        if (regions.empty() || regions.back() == kNoRegion) return;
        std::lock_guard<std::mutex> lock(mutex_);
        region_of_launch_[call.correlationId] = regions.back();
    }

    const std::string* intern(const std::string& name) { return &*names_.insert(name).first; }

    template <typename Record>
    std::vector<Record> sorted(std::vector<Record>& records) {
        std::lock_guard<std::mutex> lock(mutex_);
        std::stable_sort(records.begin(), records.end(),
                         [](const Record& a, const Record& b) { return a.start_ns < b.start_ns; });
        return records;
    }

    const DeviceLimits& limits_of(uint32_t device) {
        auto found = limits_.find(device);
        if (found == limits_.end()) found = limits_.emplace(device, read_device_limits(device)).first;
        return found->second;
    }

    uint8_t* take_buffer() {
        std::lock_guard<std::mutex> lock(mutex_);
        if (num_spare_buffers_ > 0) return spare_buffers_[--num_spare_buffers_];
        return static_cast<uint8_t*>(std::aligned_alloc(kActivityBufferAlignment, kActivityBufferBytes));
    }

    static void CUPTIAPI buffer_requested(uint8_t** buffer, size_t* bytes, size_t* max_records) {
        *buffer = instance().take_buffer();
        *bytes = *buffer == nullptr ? 0 : kActivityBufferBytes;
        *max_records = 0;
    }

    static void CUPTIAPI buffer_completed(CUcontext context, uint32_t stream, uint8_t* buffer, size_t,
                                          size_t valid_bytes) {
        instance().complete(context, stream, buffer, valid_bytes);
    }

    // An exception must not travel through CUPTI's frames: a record that there is no memory for counts as
    // dropped.
    void complete(CUcontext context, uint32_t stream, uint8_t* buffer, size_t valid_bytes) noexcept {
        std::lock_guard<std::mutex> lock(mutex_);
        const auto next = RNB_RESOLVE(cupti_library, cuptiActivityGetNextRecord);
        CUpti_Activity* record = nullptr;
        while (valid_bytes > 0 && next(buffer, valid_bytes, &record) == CUPTI_SUCCESS) {
            try {
                keep(record);
            } catch (const std::bad_alloc&) {
                ++num_dropped_;
            }
        }
        size_t dropped = 0;
        if (RNB_RESOLVE(cupti_library, cuptiActivityGetNumDroppedRecords)(context, stream, &dropped) ==
            CUPTI_SUCCESS)
            num_dropped_ += dropped;
        give_back(buffer);
    }

    void give_back(uint8_t* buffer) {
        if (num_spare_buffers_ < kMaxSpareBuffers)
            spare_buffers_[num_spare_buffers_++] = buffer;
        else
            std::free(buffer);
    }

    void keep(const CUpti_Activity* record) {
        switch (record->kind) {
            case CUPTI_ACTIVITY_KIND_KERNEL:
            case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
                return keep_kernel(*reinterpret_cast<const RNB_KERNEL_RECORD*>(record));
            case CUPTI_ACTIVITY_KIND_MEMCPY:
                return keep_copy(*reinterpret_cast<const RNB_MEMCPY_RECORD*>(record));
            case CUPTI_ACTIVITY_KIND_MEMCPY2:
                return keep_peer_copy(*reinterpret_cast<const RNB_MEMCPY_PEER_RECORD*>(record));
            case CUPTI_ACTIVITY_KIND_MEMSET:
                return keep_memset(*reinterpret_cast<const RNB_MEMSET_RECORD*>(record));
            default:
                return;
        }
    }

    void keep_kernel(const RNB_KERNEL_RECORD& k) {
        kernel_records_.push_back({intern(k.name == nullptr ? "" : k.name),
                                   k.start,
                                   k.end,
                                   k.deviceId,
                                   k.contextId,
                                   k.streamId,
                                   k.correlationId,
                                   {k.gridX, k.gridY, k.gridZ},
                                   {k.blockX, k.blockY, k.blockZ},
                                   k.registersPerThread,
                                   k.staticSharedMemory,
                                   k.dynamicSharedMemory,
                                   k.sharedMemoryExecuted});
    }

    void keep_copy(const RNB_MEMCPY_RECORD& c) {
        copy_records_.push_back({copy_kind_name(c.copyKind), c.bytes, c.start, c.end, c.deviceId, c.contextId,
                                 c.streamId, c.correlationId});
    }

    void keep_peer_copy(const RNB_MEMCPY_PEER_RECORD& c) {
        copy_records_.push_back(
            {"peer to peer", c.bytes, c.start, c.end, c.deviceId, c.contextId, c.streamId, c.correlationId});
    }

    void keep_memset(const RNB_MEMSET_RECORD& s) {
        copy_records_.push_back(
            {"set", s.bytes, s.start, s.end, s.deviceId, s.contextId, s.streamId, s.correlationId});
    }

    std::mutex mutex_;
    std::unordered_set<std::string> names_;  // node-based: addresses stay valid as it grows
    std::vector<KernelRecord> kernel_records_;
    std::vector<CopyRecord> copy_records_;
    std::unordered_map<uint32_t, uint32_t> region_of_launch_;  // by correlation id
    std::map<std::pair<const std::string*, int64_t>, uint32_t> region_numbers_;
    std::vector<Region> regions_;
    std::array<uint8_t*, kMaxSpareBuffers> spare_buffers_{};
    size_t num_spare_buffers_ = 0;
    uint64_t num_dropped_ = 0;

    std::unique_ptr<Subscriber> subscriber_;
    std::vector<CUpti_ActivityKind> enabled_;
    std::map<uint32_t, DeviceLimits> limits_;
    bool active_ = false, correlating_ = false, with_copies_ = false;
};

}  // namespace rnb
