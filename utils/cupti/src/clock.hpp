// The clock of all timestamps that the bridge hands out.
#pragma once

#include <cupti.h>
#include <time.h>

#include "errors.hpp"

namespace rnb {

// The clock of Python's time.perf_counter_ns on Linux, so that kernels and time cards share one time line.
inline uint64_t monotonic_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

// CUPTI maps the GPU's time to the clock that it is given; its own choice would be the wall clock.
inline void use_monotonic_clock() { RNB_CUPTI(cuptiActivityRegisterTimestampCallback, &monotonic_ns); }

}  // namespace rnb
