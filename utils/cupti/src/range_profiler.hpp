// Hardware counters of each kernel by itself: CUPTI serializes the kernels and replays each as often as its
// metrics need passes, with its memory restored in between. Exact, and far too slow for a measured run.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>

#include "counters.hpp"
#include "subscriber.hpp"

namespace rnb {

struct KernelCounters {
    std::string name;
    std::vector<double> values;
};

class RangeProfiler {
   public:
    RangeProfiler(int device, std::vector<std::string> metrics, size_t max_kernels)
        : device_(device), metrics_(std::move(metrics)), max_kernels_(max_kernels) {
        if (max_kernels_ == 0) throw std::invalid_argument("max_kernels: 0; at least 1 is needed");
    }

    RangeProfiler(const RangeProfiler&) = delete;
    ~RangeProfiler() { close(); }

    void start() {
        if (profiler_ != nullptr) throw std::runtime_error("RangeProfiler: started already");
        results_.clear();
        names_.clear();
        try {
            open();
        } catch (...) {
            close();
            throw;
        }
    }

    void stop() {
        if (profiler_ == nullptr) throw std::runtime_error("RangeProfiler: not started");
        try {
            RNB_DRIVER(cuCtxSynchronize);
            RNB_PARAMS(CUpti_RangeProfiler_Stop_Params, params);
            params.pRangeProfilerObject = profiler_;
            RNB_CUPTI(cuptiRangeProfilerStop, &params);
            decode();
            collect();
        } catch (...) {
            close();
            throw;
        }
        close();
    }

    const std::vector<std::string>& metrics() const { return metrics_; }
    const std::vector<KernelCounters>& results() const { return results_; }
    size_t num_passes() const { return num_passes_; }
    size_t num_dropped() const { return num_dropped_; }

   private:
    void open() {
        const std::string chip = chip_name(device_);
        retain_context();
        subscriber_ = Subscriber::claim();
        host_ =
            std::make_unique<MetricHost>(CUPTI_PROFILER_TYPE_RANGE_PROFILER, chip, availability(), metrics_);
        num_passes_ = host_->num_passes();
        RNB_PARAMS(CUpti_RangeProfiler_Enable_Params, enable);
        enable.ctx = context_;
        RNB_CUPTI(cuptiRangeProfilerEnable, &enable);
        profiler_ = enable.pRangeProfilerObject;
        make_counter_image();
        configure();
        subscriber_->listen(driver_launches(), [this](const CUpti_CallbackData& call) { note_name(call); });
        listening_ = true;
        RNB_PARAMS(CUpti_RangeProfiler_Start_Params, start);
        start.pRangeProfilerObject = profiler_;
        RNB_CUPTI(cuptiRangeProfilerStart, &start);
    }

    // The primary context is the one that PyTorch and the CUDA runtime use.
    void retain_context() {
        RNB_DRIVER(cuDeviceGet, &device_handle_, device_);
        RNB_DRIVER(cuDevicePrimaryCtxRetain, &context_, device_handle_);
        RNB_DRIVER(cuCtxSetCurrent, context_);
    }

    Image availability() {
        RNB_PARAMS(CUpti_Profiler_GetCounterAvailability_Params, params);
        params.ctx = context_;
        RNB_CUPTI(cuptiProfilerGetCounterAvailability, &params);
        Image image(params.counterAvailabilityImageSize);
        params.pCounterAvailabilityImage = image.data();
        RNB_CUPTI(cuptiProfilerGetCounterAvailability, &params);
        return image;
    }

    void make_counter_image() {
        RNB_PARAMS(CUpti_RangeProfiler_GetCounterDataSize_Params, size);
        size.pRangeProfilerObject = profiler_;
        size.pMetricNames = host_->names().data();
        size.numMetrics = host_->names().size();
        size.maxNumOfRanges = max_kernels_;
        size.maxNumRangeTreeNodes = static_cast<uint32_t>(max_kernels_);
        RNB_CUPTI(cuptiRangeProfilerGetCounterDataSize, &size);
        counters_.assign(size.counterDataSize, 0);
        RNB_PARAMS(CUpti_RangeProfiler_CounterDataImage_Initialize_Params, init);
        init.pRangeProfilerObject = profiler_;
        init.counterDataSize = counters_.size();
        init.pCounterData = counters_.data();
        RNB_CUPTI(cuptiRangeProfilerCounterDataImageInitialize, &init);
    }

    void configure() {
        RNB_PARAMS(CUpti_RangeProfiler_SetConfig_Params, params);
        params.pRangeProfilerObject = profiler_;
        params.configSize = host_->config().size();
        params.pConfig = host_->config().data();
        params.counterDataImageSize = counters_.size();
        params.pCounterDataImage = counters_.data();
        params.range = CUPTI_AutoRange;          // a range for each kernel
        params.replayMode = CUPTI_KernelReplay;  // all passes of a kernel before the next one
        params.maxRangesPerPass = max_kernels_;
        params.numNestingLevels = 1;
        params.minNestingLevel = 1;
        params.targetNestingLevel = 1;
        RNB_CUPTI(cuptiRangeProfilerSetConfig, &params);
    }

    void decode() {
        RNB_PARAMS(CUpti_RangeProfiler_DecodeData_Params, params);
        params.pRangeProfilerObject = profiler_;
        RNB_CUPTI(cuptiRangeProfilerDecodeData, &params);
        num_dropped_ = params.numOfRangeDropped;
    }

    // Ranges come in order of launch, named after the launches; a CUDA graph's kernels have no names.
    void collect() {
        RNB_PARAMS(CUpti_RangeProfiler_GetCounterDataInfo_Params, info);
        info.pCounterDataImage = counters_.data();
        info.counterDataImageSize = counters_.size();
        RNB_CUPTI(cuptiRangeProfilerGetCounterDataInfo, &info);
        // CUPTI was seen (13.0) to report none dropped where a launch found no room.
        if (names_.size() > info.numTotalRanges)
            num_dropped_ = std::max(num_dropped_, names_.size() - info.numTotalRanges);
        const bool named = names_.size() >= info.numTotalRanges;
        for (size_t i = 0; i < info.numTotalRanges; ++i)
            results_.push_back({named ? names_[i] : "", host_->evaluate(counters_, i)});
    }

    void note_name(const CUpti_CallbackData& call) {
        std::lock_guard<std::mutex> lock(names_mutex_);
        names_.emplace_back(call.symbolName == nullptr ? "" : call.symbolName);
    }

    void close() noexcept {
        if (listening_) subscriber_->stop_listening();
        listening_ = false;
        if (profiler_ != nullptr) {
            RNB_PARAMS(CUpti_RangeProfiler_Disable_Params, params);
            params.pRangeProfilerObject = profiler_;
            RNB_RESOLVE(cupti_library, cuptiRangeProfilerDisable)(&params);
        }
        profiler_ = nullptr;
        host_.reset();
        subscriber_.reset();
        if (context_ != nullptr) RNB_RESOLVE(driver_library, cuDevicePrimaryCtxRelease)(device_handle_);
        context_ = nullptr;
    }

    int device_;
    std::vector<std::string> metrics_;
    size_t max_kernels_, num_passes_ = 0, num_dropped_ = 0;
    CUdevice device_handle_ = 0;
    CUcontext context_ = nullptr;
    std::unique_ptr<Subscriber> subscriber_;
    std::unique_ptr<MetricHost> host_;
    CUpti_RangeProfiler_Object* profiler_ = nullptr;
    Image counters_;
    bool listening_ = false;
    std::mutex names_mutex_;
    std::vector<std::string> names_;
    std::vector<KernelCounters> results_;
};

}  // namespace rnb
