// What the range profiler and the PM sampler share: naming a device's metrics, scheduling them in passes of
// the hardware, and turning raw counters into values (CUPTI's Profiler Host API).
#pragma once

#include <cupti.h>
#include <cupti_pmsampling.h>
#include <cupti_profiler_host.h>
#include <cupti_profiler_target.h>
#include <cupti_range_profiler.h>
#include <cupti_target.h>

#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"

namespace rnb {

// A CUPTI parameter struct with its size filled in and all else zero.
#define RNB_PARAMS(type, variable) \
    type variable{};               \
    variable.structSize = type##_STRUCT_SIZE

using Image = std::vector<uint8_t>;

// C strings of a metric list, which must outlive it.
class NameList {
   public:
    explicit NameList(const std::vector<std::string>& names) {
        for (const std::string& name : names) pointers_.push_back(name.c_str());
    }
    const char** data() { return pointers_.data(); }
    size_t size() const { return pointers_.size(); }

   private:
    std::vector<const char*> pointers_;
};

inline void initialize_profiler() {
    open_counter_libraries();
    RNB_DRIVER(cuInit, 0);
    RNB_PARAMS(CUpti_Profiler_Initialize_Params, params);
    RNB_CUPTI(cuptiProfilerInitialize, &params);
}

// For example "GH100"; the name by which CUPTI knows the device's metrics.
inline std::string chip_name(int device) {
    initialize_profiler();
    RNB_PARAMS(CUpti_Device_GetChipName_Params, params);
    params.deviceIndex = device;
    RNB_CUPTI(cuptiDeviceGetChipName, &params);
    return params.pChipName;
}

inline std::vector<std::string> supported_chips() {
    open_counter_libraries();
    RNB_PARAMS(CUpti_Profiler_Host_GetSupportedChips_Params, params);
    RNB_CUPTI(cuptiProfilerHostGetSupportedChips, &params);
    return {params.ppChipNames, params.ppChipNames + params.numChips};
}

// The host side of one profiling session: works from a chip's name alone, so also without a GPU.
class MetricHost {
   public:
    MetricHost(CUpti_ProfilerType type, const std::string& chip, const Image& availability,
               std::vector<std::string> metrics)
        : metrics_(std::move(metrics)), names_(metrics_) {
        if (metrics_.empty()) throw std::invalid_argument("metrics: at least one metric is needed");
        open_counter_libraries();
        RNB_PARAMS(CUpti_Profiler_Host_Initialize_Params, params);
        params.profilerType = type;
        params.pChipName = chip.c_str();
        params.pCounterAvailabilityImage = availability.empty() ? nullptr : availability.data();
        RNB_CUPTI(cuptiProfilerHostInitialize, &params);
        host_ = params.pHostObject;
        try {
            schedule();
        } catch (...) {
            close();
            throw;
        }
    }

    MetricHost(const MetricHost&) = delete;
    ~MetricHost() { close(); }

    const Image& config() const { return config_; }
    NameList& names() { return names_; }
    const std::vector<std::string>& metrics() const { return metrics_; }

    size_t num_passes() {
        RNB_PARAMS(CUpti_Profiler_Host_GetNumOfPasses_Params, params);
        params.configImageSize = config_.size();
        params.pConfigImage = config_.data();
        RNB_CUPTI(cuptiProfilerHostGetNumOfPasses, &params);
        return params.numOfPasses;
    }

    // The metrics' values in one range or sample of a decoded image.
    std::vector<double> evaluate(const Image& counters, size_t index) {
        std::vector<double> values(metrics_.size());
        RNB_PARAMS(CUpti_Profiler_Host_EvaluateToGpuValues_Params, params);
        params.pHostObject = host_;
        params.pCounterDataImage = counters.data();
        params.counterDataImageSize = counters.size();
        params.rangeIndex = index;
        params.ppMetricNames = names_.data();
        params.numMetrics = names_.size();
        params.pMetricValues = values.data();
        RNB_CUPTI(cuptiProfilerHostEvaluateToGpuValues, &params);
        return values;
    }

   private:
    void schedule() {
        RNB_PARAMS(CUpti_Profiler_Host_ConfigAddMetrics_Params, add);
        add.pHostObject = host_;
        add.ppMetricNames = names_.data();
        add.numMetrics = names_.size();
        RNB_CUPTI(cuptiProfilerHostConfigAddMetrics, &add);
        RNB_PARAMS(CUpti_Profiler_Host_GetConfigImageSize_Params, size);
        size.pHostObject = host_;
        RNB_CUPTI(cuptiProfilerHostGetConfigImageSize, &size);
        config_.resize(size.configImageSize);
        RNB_PARAMS(CUpti_Profiler_Host_GetConfigImage_Params, image);
        image.pHostObject = host_;
        image.configImageSize = config_.size();
        image.pConfigImage = config_.data();
        RNB_CUPTI(cuptiProfilerHostGetConfigImage, &image);
    }

    void close() noexcept {
        RNB_PARAMS(CUpti_Profiler_Host_Deinitialize_Params, params);
        params.pHostObject = host_;
        RNB_RESOLVE(cupti_library, cuptiProfilerHostDeinitialize)(&params);
    }

    std::vector<std::string> metrics_;
    NameList names_;
    CUpti_Profiler_Host_Object* host_ = nullptr;
    Image config_;
};

}  // namespace rnb
