// utils/cupti/cupti.so: CUPTI for Python. Built by ./build_cupti.sh, described in docs/cupti.md, typed in
// cupti.pyi.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cxxabi.h>

#include <optional>
#include <unordered_map>

#include "src/trace.hpp"

// The counters' APIs came during CUDA 12; with older headers the bridge still traces.
#if __has_include(<cupti_range_profiler.h>)
#define RNB_HAS_COUNTERS 1
#include "src/pm_sampler.hpp"
#include "src/range_profiler.hpp"
#else
#define RNB_HAS_COUNTERS 0
#endif

namespace py = pybind11;
using namespace rnb;

namespace {

using Triple = std::array<int32_t, 3>;

// One kernel as Python sees it: the record, and who launched it.
struct Kernel {
    std::string name;
    uint64_t start_ns, end_ns;
    uint32_t device, context, stream, correlation_id;
    Triple grid, block;
    int registers_per_thread;
    int64_t static_shared_bytes, dynamic_shared_bytes;
    std::optional<double> theoretical_occupancy_pct;
    std::optional<std::string> step;
    std::optional<int64_t> request;
};

struct Copy {
    std::string kind;
    uint64_t bytes, start_ns, end_ns;
    uint32_t device, context, stream, correlation_id;
    std::optional<std::string> step;
    std::optional<int64_t> request;
};

std::optional<std::string> step_of(const Region& region) {
    return region.step == nullptr ? std::nullopt : std::optional<std::string>(*region.step);
}

std::optional<int64_t> request_of(const Region& region) {
    return region.request < 0 ? std::nullopt : std::optional<int64_t>(region.request);
}

Kernel to_python(const KernelRecord& k) {
    Tracer& tracer = Tracer::instance();
    const Region region = tracer.region_of(k.correlation_id);
    const double occupancy = tracer.theoretical_pct(k);
    return {*k.name,
            k.start_ns,
            k.end_ns,
            k.device,
            k.context,
            k.stream,
            k.correlation_id,
            k.grid,
            k.block,
            k.registers_per_thread,
            k.static_shared_bytes,
            k.dynamic_shared_bytes,
            std::isnan(occupancy) ? std::nullopt : std::optional<double>(occupancy),
            step_of(region),
            request_of(region)};
}

std::vector<std::tuple<std::string, uint64_t, uint64_t>> report() {
    std::vector<std::tuple<std::string, uint64_t, uint64_t>> rows;
    for (const KernelRecord& k : Tracer::instance().kernels())
        rows.emplace_back(*k.name, k.start_ns, k.end_ns);
    return rows;
}

std::vector<Kernel> kernels() {
    std::vector<Kernel> all;
    for (const KernelRecord& k : Tracer::instance().kernels()) all.push_back(to_python(k));
    return all;
}

std::vector<Copy> copies() {
    std::vector<Copy> all;
    for (const CopyRecord& c : Tracer::instance().copies()) {
        const Region region = Tracer::instance().region_of(c.correlation_id);
        all.push_back({c.kind, c.bytes, c.start_ns, c.end_ns, c.device, c.context, c.stream, c.correlation_id,
                       step_of(region), request_of(region)});
    }
    return all;
}

// Numbers the distinct strings that it is shown, from 0; null is -1.
class Numbering {
   public:
    int32_t of(const std::string* text) {
        if (text == nullptr) return -1;
        auto [entry, is_new] = numbers_.try_emplace(text, static_cast<int32_t>(texts_.size()));
        if (is_new) texts_.push_back(*text);
        return entry->second;
    }
    const std::vector<std::string>& texts() const { return texts_; }

   private:
    std::unordered_map<const std::string*, int32_t> numbers_;
    std::vector<std::string> texts_;
};

// The kernels as columns: a million of them make a million Python objects otherwise.
py::dict kernel_table() {
    Tracer& tracer = Tracer::instance();
    const std::vector<KernelRecord> all = tracer.kernels();
    const py::ssize_t count = static_cast<py::ssize_t>(all.size());
    py::array_t<int32_t> name(count), device(count), stream(count), step(count);
    py::array_t<int64_t> start_ns(count), end_ns(count), request(count);
    py::array_t<double> theoretical(count);
    Numbering names, steps;
    for (py::ssize_t i = 0; i < count; ++i) {
        const KernelRecord& k = all[i];
        const Region region = tracer.region_of(k.correlation_id);
        name.mutable_at(i) = names.of(k.name);
        start_ns.mutable_at(i) = static_cast<int64_t>(k.start_ns);
        end_ns.mutable_at(i) = static_cast<int64_t>(k.end_ns);
        device.mutable_at(i) = static_cast<int32_t>(k.device);
        stream.mutable_at(i) = static_cast<int32_t>(k.stream);
        theoretical.mutable_at(i) = tracer.theoretical_pct(k);
        step.mutable_at(i) = steps.of(region.step);
        request.mutable_at(i) = region.request;
    }
    using namespace py::literals;
    return py::dict("names"_a = names.texts(), "steps"_a = steps.texts(), "name"_a = name,
                    "start_ns"_a = start_ns, "end_ns"_a = end_ns, "device"_a = device, "stream"_a = stream,
                    "theoretical_occupancy_pct"_a = theoretical, "step"_a = step, "request"_a = request);
}

std::string demangle(const std::string& name) {
    int status = 0;
    char* readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    std::string result = status == 0 ? readable : name;
    std::free(readable);
    return result;
}

// `with cupti.trace(): …` traces the block; its records can be read afterwards.
struct Trace {
    bool correlate, copies;
};

// `with cupti.region(step, request): …` names what the block launches on this thread.
struct RegionScope {
    std::string step;
    std::optional<int64_t> request;
};

template <typename Record>
void bind_times(py::class_<Record>& type) {
    type.def_readonly("start_ns", &Record::start_ns)
        .def_readonly("end_ns", &Record::end_ns)
        .def_property_readonly("duration_ns", [](const Record& r) { return r.end_ns - r.start_ns; })
        .def_readonly("device", &Record::device)
        .def_readonly("context", &Record::context)
        .def_readonly("stream", &Record::stream)
        .def_readonly("correlation_id", &Record::correlation_id)
        .def_readonly("step", &Record::step)
        .def_readonly("request", &Record::request);
}

void bind_records(py::module_& module) {
    py::class_<Kernel> kernel(module, "Kernel");
    bind_times(kernel);
    kernel.def_readonly("name", &Kernel::name)
        .def_property_readonly(
            "grid", [](const Kernel& k) { return py::make_tuple(k.grid[0], k.grid[1], k.grid[2]); })
        .def_property_readonly(
            "block", [](const Kernel& k) { return py::make_tuple(k.block[0], k.block[1], k.block[2]); })
        .def_readonly("registers_per_thread", &Kernel::registers_per_thread)
        .def_readonly("static_shared_bytes", &Kernel::static_shared_bytes)
        .def_readonly("dynamic_shared_bytes", &Kernel::dynamic_shared_bytes)
        .def_readonly("theoretical_occupancy_pct", &Kernel::theoretical_occupancy_pct)
        .def("__repr__", [](const Kernel& k) { return "<Kernel " + k.name + ">"; });
    py::class_<Copy> copy(module, "Copy");
    bind_times(copy);
    copy.def_readonly("kind", &Copy::kind)
        .def_readonly("bytes", &Copy::bytes)
        .def("__repr__",
             [](const Copy& c) { return "<Copy " + c.kind + " " + std::to_string(c.bytes) + " bytes>"; });
}

void bind_tracing(py::module_& module) {
    module.def(
        "initialize", [](bool correlate, bool copies) { Tracer::instance().initialize(correlate, copies); },
        py::kw_only(), py::arg("correlate") = false, py::arg("copies") = true,
        py::call_guard<py::gil_scoped_release>());
    module.def("finalize", [] { Tracer::instance().finalize(); }, py::call_guard<py::gil_scoped_release>());
    module.def("flush", [] { Tracer::instance().flush(); }, py::call_guard<py::gil_scoped_release>());
    module.def("clear", [] { Tracer::instance().clear(); });
    module.def("is_tracing", [] { return Tracer::instance().active(); });
    module.def("report", &report);
    module.def("kernels", &kernels);
    module.def("copies", &copies);
    module.def("kernel_table", &kernel_table);
    module.def("num_dropped", [] { return Tracer::instance().num_dropped(); });
    module.def("demangle", &demangle, py::arg("name"));
    py::class_<Trace>(module, "trace")
        .def(py::init<bool, bool>(), py::kw_only(), py::arg("correlate") = false, py::arg("copies") = true)
        .def("__enter__", [](const Trace& t) { Tracer::instance().initialize(t.correlate, t.copies); })
        .def("__exit__", [](const Trace&, const py::args&) {
            py::gil_scoped_release release;
            Tracer::instance().finalize();
        });
    py::class_<RegionScope>(module, "region")
        .def(py::init<std::string, std::optional<int64_t>>(), py::arg("step"),
             py::arg("request") = py::none())
        .def("__enter__",
             [](const RegionScope& r) { Tracer::instance().push_region(r.step, r.request.value_or(-1)); })
        .def("__exit__", [](const RegionScope&, const py::args&) { Tracer::instance().pop_region(); });
}

void bind_occupancy(py::module_& module) {
    py::class_<DeviceLimits>(module, "DeviceLimits")
        .def(py::init([](const py::kwargs& fields) {
            py::object limits = py::cast(DeviceLimits{});
            for (const auto& [name, value] : fields) py::setattr(limits, name, value);
            return limits.cast<DeviceLimits>();
        }))
        .def_readwrite("compute_major", &DeviceLimits::compute_major)
        .def_readwrite("compute_minor", &DeviceLimits::compute_minor)
        .def_readwrite("max_threads_per_block", &DeviceLimits::max_threads_per_block)
        .def_readwrite("max_threads_per_sm", &DeviceLimits::max_threads_per_sm)
        .def_readwrite("registers_per_block", &DeviceLimits::registers_per_block)
        .def_readwrite("registers_per_sm", &DeviceLimits::registers_per_sm)
        .def_readwrite("warp_size", &DeviceLimits::warp_size)
        .def_readwrite("shared_bytes_per_block", &DeviceLimits::shared_bytes_per_block)
        .def_readwrite("shared_bytes_per_block_optin", &DeviceLimits::shared_bytes_per_block_optin)
        .def_readwrite("shared_bytes_per_sm", &DeviceLimits::shared_bytes_per_sm)
        .def_readwrite("reserved_shared_bytes_per_block", &DeviceLimits::reserved_shared_bytes_per_block)
        .def_readwrite("num_sms", &DeviceLimits::num_sms);
    module.def("device_limits", &read_device_limits, py::arg("device"));
    module.def("theoretical_occupancy_pct", &theoretical_occupancy_pct, py::arg("limits"), py::kw_only(),
               py::arg("threads_per_block"), py::arg("registers_per_thread"),
               py::arg("static_shared_bytes") = 0, py::arg("dynamic_shared_bytes") = 0,
               py::arg("shared_config_bytes") = 0);
}

#if RNB_HAS_COUNTERS

size_t num_passes(const std::vector<std::string>& metrics, const std::string& chip, bool sampling) {
    return MetricHost(sampling ? CUPTI_PROFILER_TYPE_PM_SAMPLING : CUPTI_PROFILER_TYPE_RANGE_PROFILER, chip,
                      {}, metrics)
        .num_passes();
}

// (times, values): int64 [samples, 2] of start and end in ns, float64 [samples, metrics].
py::tuple to_arrays(const std::vector<PmSample>& samples, size_t num_metrics) {
    const auto count = static_cast<py::ssize_t>(samples.size());
    py::array_t<int64_t> times({count, py::ssize_t{2}});
    py::array_t<double> values({count, static_cast<py::ssize_t>(num_metrics)});
    for (py::ssize_t i = 0; i < count; ++i) {
        times.mutable_at(i, 0) = static_cast<int64_t>(samples[i].start_ns);
        times.mutable_at(i, 1) = static_cast<int64_t>(samples[i].end_ns);
        for (size_t m = 0; m < num_metrics; ++m) values.mutable_at(i, m) = samples[i].values[m];
    }
    return py::make_tuple(times, values);
}

void bind_counters(py::module_& module) {
    module.attr("has_counters") = true;
    module.def("chip_name", &chip_name, py::arg("device"));
    module.def("supported_chips", &supported_chips);
    module.def("num_passes", &num_passes, py::arg("metrics"), py::kw_only(), py::arg("chip"),
               py::arg("sampling"));
    py::class_<KernelCounters>(module, "KernelCounters")
        .def_readonly("name", &KernelCounters::name)
        .def_readonly("values", &KernelCounters::values);
    py::class_<RangeProfiler>(module, "RangeProfiler")
        .def(py::init<int, std::vector<std::string>, size_t>(), py::arg("device"), py::arg("metrics"),
             py::kw_only(), py::arg("max_kernels") = 1024)
        .def("start", &RangeProfiler::start, py::call_guard<py::gil_scoped_release>())
        .def("stop", &RangeProfiler::stop, py::call_guard<py::gil_scoped_release>())
        .def("results", &RangeProfiler::results)
        .def_property_readonly("metrics", &RangeProfiler::metrics)
        .def_property_readonly("num_passes", &RangeProfiler::num_passes)
        .def_property_readonly("num_dropped", &RangeProfiler::num_dropped);
    py::class_<PmSampler>(module, "PmSampler")
        .def(py::init<int, std::vector<std::string>, uint64_t, uint64_t, size_t>(), py::arg("device"),
             py::arg("metrics"), py::kw_only(), py::arg("interval_ns") = 1'000'000,
             py::arg("decode_period_ns") = 100'000'000, py::arg("hardware_buffer_bytes") = size_t{64} << 20)
        .def("start", &PmSampler::start, py::call_guard<py::gil_scoped_release>())
        .def("stop", &PmSampler::stop, py::call_guard<py::gil_scoped_release>())
        .def("take", [](PmSampler& sampler) { return to_arrays(sampler.take(), sampler.metrics().size()); })
        .def_property_readonly("metrics", &PmSampler::metrics)
        .def_property_readonly("num_overflows", &PmSampler::num_overflows);
}

#else

void bind_counters(py::module_& module) {
    module.attr("has_counters") = false;
    for (const char* name : {"chip_name", "supported_chips", "num_passes", "RangeProfiler", "PmSampler"})
        module.def(name, [name](const py::args&, const py::kwargs&) {
            throw CuptiFailure(std::string("cupti.") + name + ": built against CUPTI " +
                                   std::to_string(CUPTI_API_VERSION) +
                                   ", which cannot read counters; rebuild with CUDA 12.8 or later",
                               name, 0, true);
        });
}

#endif

}  // namespace

PYBIND11_MODULE(cupti, module) {
    if (!cupti_library().is_open())
        throw py::import_error(
            cupti_library().error() +
            "; install nvidia-cuda-cupti (or the CUDA toolkit) of the version that it was built "
            "against, or rebuild with ./build_cupti.sh");
    register_failure_translator();
    module.doc() = "CUPTI: which kernels ran, and the occupancy that they reached (docs/cupti.md)";
    module.attr("API_VERSION") = CUPTI_API_VERSION;
    bind_records(module);
    bind_tracing(module);
    bind_occupancy(module);
    bind_counters(module);
}
