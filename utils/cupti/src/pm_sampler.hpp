// Hardware counters of a whole GPU over time: the GPU samples them itself at a fixed interval, whichever
// process its kernels come from, and a thread of ours reads the samples out. Kernels are neither serialized
// nor replayed.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "clock.hpp"
#include "counters.hpp"

namespace rnb {

struct PmSample {
    uint64_t start_ns, end_ns;
    std::vector<double> values;
};

class PmSampler {
   public:
    PmSampler(int device, std::vector<std::string> metrics, uint64_t interval_ns, uint64_t decode_period_ns,
              size_t hardware_buffer_bytes)
        : device_(device),
          metrics_(std::move(metrics)),
          interval_ns_(interval_ns),
          decode_period_ns_(decode_period_ns),
          hardware_buffer_bytes_(hardware_buffer_bytes) {
        if (interval_ns_ == 0) throw std::invalid_argument("interval_ns: 0; a positive interval is needed");
        if (decode_period_ns_ < interval_ns_)
            throw std::invalid_argument("decode_period_ns: shorter than interval_ns");
    }

    PmSampler(const PmSampler&) = delete;
    ~PmSampler() {
        end_thread();
        close();
    }

    void start() {
        if (sampler_ != nullptr) throw std::runtime_error("PmSampler: started already");
        try {
            open();
        } catch (...) {
            close();
            throw;
        }
        stopping_ = false;
        failure_ = nullptr;
        thread_ = std::thread([this] { decode_until_stopped(); });
    }

    // Ends the sampling; an error that the reading thread met is thrown here.
    void stop() {
        if (sampler_ == nullptr) throw std::runtime_error("PmSampler: not started");
        end_thread();
        try {
            if (failure_) std::rethrow_exception(failure_);
            RNB_PARAMS(CUpti_PmSampling_Stop_Params, params);
            params.pPmSamplingObject = sampler_;
            RNB_CUPTI(cuptiPmSamplingStop, &params);
            while (decode()) {
            }
        } catch (...) {
            close();
            throw;
        }
        close();
    }

    // Takes what has arrived since the last call.
    std::vector<PmSample> take() {
        std::lock_guard<std::mutex> lock(mutex_);
        return std::exchange(samples_, {});
    }

    const std::vector<std::string>& metrics() const { return metrics_; }
    uint64_t num_overflows() const { return num_overflows_; }

   private:
    void open() {
        const std::string chip = chip_name(device_);
        use_monotonic_clock();
        host_ = std::make_unique<MetricHost>(CUPTI_PROFILER_TYPE_PM_SAMPLING, chip, availability(), metrics_);
        if (const size_t passes = host_->num_passes(); passes != 1)
            throw std::invalid_argument("metrics: they need " + std::to_string(passes) + " passes on " +
                                        chip + "; sampling has one");
        RNB_PARAMS(CUpti_PmSampling_Enable_Params, enable);
        enable.deviceIndex = device_;
        RNB_CUPTI(cuptiPmSamplingEnable, &enable);
        sampler_ = enable.pPmSamplingObject;
        configure(chip);
        make_counter_image();
        RNB_PARAMS(CUpti_PmSampling_Start_Params, start);
        start.pPmSamplingObject = sampler_;
        RNB_CUPTI(cuptiPmSamplingStart, &start);
    }

    Image availability() {
        RNB_PARAMS(CUpti_PmSampling_GetCounterAvailability_Params, params);
        params.deviceIndex = device_;
        refuse_if_busy(RNB_RESOLVE(cupti_library, cuptiPmSamplingGetCounterAvailability)(&params));
        Image image(params.counterAvailabilityImageSize);
        params.pCounterAvailabilityImage = image.data();
        RNB_CUPTI(cuptiPmSamplingGetCounterAvailability, &params);
        return image;
    }

    // Beside another session on the GPU this call fails with no better code than 'unknown' (seen with
    // CUDA 13.0).
    static void refuse_if_busy(CUptiResult result) {
        const char* function = "cuptiPmSamplingGetCounterAvailability";
        if (result == CUPTI_ERROR_UNKNOWN)
            throw CuptiFailure(std::string(function) + " failed: " + result_name(result) +
                                   " (999): another sampler or profiler probably holds this GPU's counters",
                               function, result, true);
        check_cupti(result, function);
    }

    // Turing and GA100 cannot sample by time (cupti_pmsampling.h), only by their system clock. At about 1
    // GHz, its cycles stand in for nanoseconds; each sample carries its true times anyway.
    static CUpti_PmSampling_TriggerMode trigger(const std::string& chip) {
        const bool by_clock = chip.rfind("TU", 0) == 0 || chip == "GA100";
        return by_clock ? CUPTI_PM_SAMPLING_TRIGGER_MODE_GPU_SYSCLK_INTERVAL
                        : CUPTI_PM_SAMPLING_TRIGGER_MODE_GPU_TIME_INTERVAL;
    }

    void configure(const std::string& chip) {
        RNB_PARAMS(CUpti_PmSampling_SetConfig_Params, params);
        params.pPmSamplingObject = sampler_;
        params.configSize = host_->config().size();
        params.pConfig = host_->config().data();
        params.hardwareBufferSize = hardware_buffer_bytes_;
        params.samplingInterval = interval_ns_;
        params.triggerMode = trigger(chip);
        params.hwBufferAppendMode = CUPTI_PM_SAMPLING_HARDWARE_BUFFER_APPEND_MODE_KEEP_OLDEST;
        RNB_CUPTI(cuptiPmSamplingSetConfig, &params);
    }

    // Room for four periods' samples: a late decode still finds space.
    void make_counter_image() {
        RNB_PARAMS(CUpti_PmSampling_GetCounterDataSize_Params, size);
        size.pPmSamplingObject = sampler_;
        size.pMetricNames = host_->names().data();
        size.numMetrics = host_->names().size();
        size.maxSamples = static_cast<uint32_t>(std::max<uint64_t>(64, 4 * decode_period_ns_ / interval_ns_));
        RNB_CUPTI(cuptiPmSamplingGetCounterDataSize, &size);
        counters_.assign(size.counterDataSize, 0);
        clear_counter_image();
    }

    void clear_counter_image() {
        RNB_PARAMS(CUpti_PmSampling_CounterDataImage_Initialize_Params, params);
        params.pPmSamplingObject = sampler_;
        params.counterDataSize = counters_.size();
        params.pCounterData = counters_.data();
        RNB_CUPTI(cuptiPmSamplingCounterDataImageInitialize, &params);
    }

    void decode_until_stopped() noexcept {
        try {
            std::unique_lock<std::mutex> lock(stop_mutex_);
            while (!stop_signal_.wait_for(lock, std::chrono::nanoseconds(decode_period_ns_),
                                          [this] { return stopping_; }))
                while (decode()) {
                }
        } catch (...) {
            failure_ = std::current_exception();
        }
    }

    // Moves what fits in the counter image to samples_; true if the image was full, so that more may wait.
    bool decode() {
        RNB_PARAMS(CUpti_PmSampling_DecodeData_Params, params);
        params.pPmSamplingObject = sampler_;
        params.pCounterDataImage = counters_.data();
        params.counterDataImageSize = counters_.size();
        const CUptiResult result = RNB_RESOLVE(cupti_library, cuptiPmSamplingDecodeData)(&params);
        // An overflow of the hardware buffer is reported so; the samples before it are still there.
        const bool overflowed = params.overflow != 0 || result == CUPTI_ERROR_OUT_OF_MEMORY;
        if (overflowed) ++num_overflows_;
        if (!overflowed) check_cupti(result, "cuptiPmSamplingDecodeData");
        const size_t num_samples = collect();
        clear_counter_image();
        return num_samples > 0 &&
               params.decodeStopReason == CUPTI_PM_SAMPLING_DECODE_STOP_REASON_COUNTER_DATA_FULL;
    }

    size_t collect() {
        RNB_PARAMS(CUpti_PmSampling_GetCounterDataInfo_Params, info);
        info.pCounterDataImage = counters_.data();
        info.counterDataImageSize = counters_.size();
        RNB_CUPTI(cuptiPmSamplingGetCounterDataInfo, &info);
        std::vector<PmSample> decoded;
        for (size_t i = 0; i < info.numCompletedSamples; ++i) decoded.push_back(read_sample(i));
        std::lock_guard<std::mutex> lock(mutex_);
        samples_.insert(samples_.end(), std::make_move_iterator(decoded.begin()),
                        std::make_move_iterator(decoded.end()));
        return info.numCompletedSamples;
    }

    PmSample read_sample(size_t index) {
        RNB_PARAMS(CUpti_PmSampling_CounterData_GetSampleInfo_Params, params);
        params.pPmSamplingObject = sampler_;
        params.pCounterDataImage = counters_.data();
        params.counterDataImageSize = counters_.size();
        params.sampleIndex = index;
        RNB_CUPTI(cuptiPmSamplingCounterDataGetSampleInfo, &params);
        return {params.startTimestamp, params.endTimestamp, host_->evaluate(counters_, index)};
    }

    void end_thread() {
        if (!thread_.joinable()) return;
        {
            std::lock_guard<std::mutex> lock(stop_mutex_);
            stopping_ = true;
        }
        stop_signal_.notify_all();
        thread_.join();
    }

    void close() noexcept {
        if (sampler_ != nullptr) {
            RNB_PARAMS(CUpti_PmSampling_Disable_Params, params);
            params.pPmSamplingObject = sampler_;
            RNB_RESOLVE(cupti_library, cuptiPmSamplingDisable)(&params);
        }
        sampler_ = nullptr;
        host_.reset();
    }

    int device_;
    std::vector<std::string> metrics_;
    uint64_t interval_ns_, decode_period_ns_;
    size_t hardware_buffer_bytes_;
    std::unique_ptr<MetricHost> host_;
    CUpti_PmSampling_Object* sampler_ = nullptr;
    Image counters_;

    std::thread thread_;
    std::mutex stop_mutex_;
    std::condition_variable stop_signal_;
    bool stopping_ = false;
    std::exception_ptr failure_;

    std::mutex mutex_;
    std::vector<PmSample> samples_;
    std::atomic<uint64_t> num_overflows_{0};
};

}  // namespace rnb
