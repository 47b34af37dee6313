// The process's one CUPTI subscription. It tells of another client before two spoil each other's records, and
// it hears of each launch: the tracer notes which region it belongs to, the range profiler the kernel's name.
#pragma once

#include <cupti.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"

namespace rnb {

// One call of the CUDA API, by its domain (runtime or driver) and number.
using ApiCall = std::pair<CUpti_CallbackDomain, CUpti_CallbackId>;

// Every launch of a kernel ends in one of these, whichever API it began in.
inline const std::vector<ApiCall>& driver_launches() {
    static const std::vector<ApiCall> calls = [] {
        std::vector<ApiCall> all;
        for (CUpti_CallbackId id :
             {CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx, CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx_ptsz,
              CUPTI_DRIVER_TRACE_CBID_cuLaunchCooperativeKernel,
              CUPTI_DRIVER_TRACE_CBID_cuLaunchCooperativeKernel_ptsz})
            all.emplace_back(CUPTI_CB_DOMAIN_DRIVER_API, id);
        return all;
    }();
    return calls;
}

class Subscriber {
   public:
    using Listener = std::function<void(const CUpti_CallbackData&)>;

    // The tracer's or the range profiler's, until it is destroyed: replayed kernels would make no sense in a
    // trace.
    static std::unique_ptr<Subscriber> claim() {
        if (claimed())
            throw std::runtime_error("tracing and counting exclude each other: end the one in progress");
        return std::unique_ptr<Subscriber>(new Subscriber());
    }

    Subscriber(const Subscriber&) = delete;
    ~Subscriber() {
        RNB_RESOLVE(cupti_library, cuptiUnsubscribe)(handle_);
        claimed() = false;
    }

    // `listener` hears of each of `calls` as it begins, on the thread that makes it.
    void listen(const std::vector<ApiCall>& calls, Listener listener) {
        listener_ = std::move(listener);
        calls_ = calls;
        try {
            for (const auto& [domain, id] : calls_) RNB_CUPTI(cuptiEnableCallback, 1, handle_, domain, id);
        } catch (...) {
            stop_listening();
            throw;
        }
    }

    void stop_listening() noexcept {
        for (const auto& [domain, id] : calls_)
            RNB_RESOLVE(cupti_library, cuptiEnableCallback)(0, handle_, domain, id);
        calls_.clear();  // the listener stays: another thread may be on its way into it
    }

   private:
    Subscriber() {
        RNB_CUPTI(cuptiSubscribe, &handle_, &Subscriber::called, this);
        claimed() = true;
    }

    static std::atomic<bool>& claimed() {
        static std::atomic<bool> flag{false};
        return flag;
    }

    // noexcept: nothing may be thrown through CUPTI's frames.
    static void CUPTIAPI called(void* self, CUpti_CallbackDomain, CUpti_CallbackId,
                                const void* data) noexcept {
        const auto* call = static_cast<const CUpti_CallbackData*>(data);
        if (call->callbackSite == CUPTI_API_ENTER) static_cast<Subscriber*>(self)->listener_(*call);
    }

    CUpti_SubscriberHandle handle_ = nullptr;
    Listener listener_;
    std::vector<ApiCall> calls_;
};

}  // namespace rnb
