// Strong scaling, the same image on more threads, and weak scaling, an image that grows with them.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/cli/command_text.h"
#include "engine/cli/scaling_figure.h"
#include "engine/cli/threads_arguments.h"
#include "engine/measure/explain.h"
#include "engine/measure/scaling.h"
#include "engine/runtime/memory.h"

namespace hourglass::cli {
namespace {

constexpr double kMilli = 1e3;

// The work of n threads in weak mode: n times the area, on sides that every built-in topology takes as they are.
ImageSize grown(const ImageSize& size, int threads) {
  constexpr double kMultiple = 32;
  const double factor = std::sqrt(static_cast<double>(threads));
  const auto side = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(length) * factor / kMultiple)) *
           static_cast<int64_t>(kMultiple);
  };
  return threads == 1 ? size : ImageSize{.width = side(size.width), .height = side(size.height)};
}

std::string size_text(const ImageSize& size) { return fmt::format("{}x{}", size.width, size.height); }

std::string table_of(const ScalingRun& run, const std::vector<ImageSize>& sizes,
                     const std::vector<Landmark>& landmarks) {
  std::string text = fmt::format("{:>8}  {:>26}  {:>20}  {:>4}  {:>13}\n", "threads", "ms per iteration",
                                 run.grows ? "pixels, times" : "speed-up", "eff.", run.grows ? "size" : "GFLOP/s GB/s");
  for (std::size_t i = 0; i < run.points.size(); ++i) {
    const ScalingPoint& point = run.points[i];
    const Interval ms{
        .value = kMilli * point.seconds.value, .low = kMilli * point.seconds.low, .high = kMilli * point.seconds.high};
    const std::string last =
        run.grows ? size_text(sizes[i]) : fmt::format("{:.0f} {:6.1f}", point.ceiling.gflops, point.ceiling.gbytes);
    text += fmt::format("{:8}  {:>26}  {:>20}  {:>3.0f}%  {:>13}\n", point.threads, text_of(ms),
                        text_of(point.speed_up), 100 * point.efficiency.value, last);
  }
  text += "\n" + interval_note(run.rounds);
  if (!run.grows) text += "; what the machine itself does beside them";
  text += ".\n";
  for (const Landmark& mark : landmarks) {
    const bool measured = std::any_of(run.points.begin(), run.points.end(),
                                      [&](const ScalingPoint& point) { return point.threads == mark.threads; });
    if (measured) text += fmt::format("{}: as many as {}.\n", counted(mark.threads, "thread"), mark.text);
  }
  for (const ScalingPoint& point : run.points) {
    if (point.far_out.empty()) continue;
    text += fmt::format("{}: {} of {} iterations lie far from the others, at {:.1f} to {:.1f} ms.\n",
                        counted(point.threads, "thread"), point.far_out.size(), point.iterations,
                        kMilli * point.far_out.front(), kMilli * point.far_out.back());
  }
  return text;
}

// By op, from the first number of threads to the last; the ops that take the longest first.
std::string ops_table(const ScalingRun& run) {
  const ScalingPoint &one = run.points.front(), &most = run.points.back();
  if (one.threads == most.threads) return {};
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [op, at] : most.ops) order.emplace_back(at.activity.seconds, op);
  std::sort(order.rbegin(), order.rend());
  // The longest name of an op has 31 letters, and a line 80.
  std::string text = fmt::format("\n{:>7} {:>7} {:>6} {:>5} {:>5} {:>5} {:>5}  op, in ms on so many threads\n",
                                 fmt::format("on {}", one.threads), fmt::format("on {}", most.threads), "speed",
                                 "alone", "waits", "slows", "roof");
  constexpr double kWorthALine = 0.01;
  const auto share = [&](double x, const Activity& op) {
    return run.regions_seen ? fmt::format("{:.0f} %", 100 * x / op.seconds) : std::string("-");
  };
  const auto milliseconds = [](const Activity& op) {
    constexpr double kThousand = 1000;
    const double ms = kMilli * op.seconds;
    return fmt::format("{:.{}f}", ms, ms < kThousand ? 2 : 0);
  };
  for (const auto& [seconds, op] : order) {
    const auto first = one.ops.find(op);
    if (seconds < kWorthALine * most.whole.seconds || first == one.ops.end()) continue;
    const Activity &alone = first->second.activity, &together = most.ops.at(op).activity;
    const double ratio = static_cast<double>(most.threads) / one.threads;
    const double slower = together.busy + together.serial() / ratio - alone.seconds / ratio;
    text += fmt::format("{:>7} {:>7} {:>6} {:>5} {:>5} {:>5} {:>5}  {}\n", milliseconds(alone), milliseconds(together),
                        fmt::format("{:.2f}x", alone.seconds / together.seconds), share(together.serial(), together),
                        share(together.waiting(), together), share(slower, together),
                        fmt::format("{:.0f} %", 100 * share_of_roofline(most.ops.at(op), most.ceiling)), op);
  }
  return text + fmt::format(
                    "alone: one thread works and the others wait; waits: at barriers; slows: the work of a thread "
                    "takes longer side by side; all as shares of the op's time on {}. roof: its share of the "
                    "machine's multiplications or memory, whichever binds it more; over 100 % where operands stay in "
                    "the caches, or where a kernel needs fewer multiplications than are counted (Winograd's).\n",
                    counted(most.threads, "thread"));
}

Json to_json(const Activity& activity) {
  return {{"seconds", activity.seconds},
          {"serial_seconds", activity.serial()},
          {"waiting_seconds", activity.waiting()},
          {"busy_seconds", activity.busy}};
}

Json to_json(const ScalingPoint& point, const ImageSize& size, bool grows) {
  Json json{{"name", counted(point.threads, "thread") + (grows ? ", " + size_text(size) : "")},
            {"threads", point.threads},
            {"width", size.width},
            {"height", size.height},
            {"seconds", cli::to_json(point.seconds)},
            {"quartile_low", point.spread.low},
            {"quartile_high", point.spread.high},
            {"iterations", point.iterations},
            {"warm_up_iterations", point.warm_up},
            {"round_seconds", point.rounds},
            {"samples", point.samples},
            {"far_out_seconds", point.far_out},
            {"speed_up", cli::to_json(point.speed_up)},
            {"efficiency", cli::to_json(point.efficiency)},
            {"memory_bytes", point.memory_bytes},
            {"ceiling_gflops", point.ceiling.gflops},
            {"ceiling_gbytes", point.ceiling.gbytes},
            {"iteration", to_json(point.whole)}};
  Json ops;
  for (const auto& [op, at] : point.ops) {
    ops[op] = to_json(at.activity);
    ops[op]["flops"] = at.work.flops;
    ops[op]["bytes"] = at.work.bytes;
    ops[op]["share_of_roofline"] = share_of_roofline(at, point.ceiling);
  }
  json["ops"] = std::move(ops);
  return json;
}

Json to_json(const FittedLaw& law) {
  return {{"seconds_one", law.law.seconds_one},
          {"serial", cli::to_json(law.serial)},
          {"coherence", cli::to_json(law.coherence)},
          {"limit", law.law.limit()},
          {"misfit", law.misfit},
          {"chi_squared", law.chi_squared}};
}

Json to_json(const LawChoice& laws) {
  static const std::map<LawVerdict, std::string> names{{LawVerdict::too_few, "untested"},
                                                       {LawVerdict::amdahl, "amdahl"},
                                                       {LawVerdict::universal, "universal"},
                                                       {LawVerdict::none, "none"}};
  Json json{{"preferred", names.at(laws.verdict)}, {"reason", laws.reason}, {"amdahl", to_json(laws.amdahl)}};
  if (laws.universal) json["universal"] = to_json(*laws.universal);
  return json;
}

std::string csv_of(const ScalingRun& run, const std::vector<ImageSize>& sizes) {
  std::string text =
      "threads,width,height,seconds,seconds_low,seconds_high,iterations,far_out,speed_up,speed_up_low,speed_up_high,"
      "efficiency,serial_seconds,waiting_seconds,busy_seconds,ceiling_gflops,ceiling_gbytes,memory_bytes\n";
  constexpr int kMicro = 6, kTenThousandths = 4;
  for (std::size_t i = 0; i < run.points.size(); ++i) {
    const ScalingPoint& p = run.points[i];
    text += fmt::format("{},{},{},{},{},{},{},{:.4f},{:.6f},{:.6f},{:.6f},{:.1f},{:.2f},{}\n", p.threads,
                        sizes[i].width, sizes[i].height, cli::csv_of(p.seconds, kMicro), p.iterations, p.far_out.size(),
                        cli::csv_of(p.speed_up, kTenThousandths), p.efficiency.value, p.whole.serial(),
                        p.whole.waiting(), p.whole.busy, p.ceiling.gflops, p.ceiling.gbytes, p.memory_bytes);
  }
  return text;
}

std::string bind_text(const BindChoice& choice) {
  if (choice.tried.empty()) return fmt::format("Threads bound to: {} (--bind).\n", name_of(choice.bind));
  std::string tried;
  for (const auto& [bind, ratio] : choice.tried) {
    tried += fmt::format("{}{} {} times the time", tried.empty() ? "" : ", ", name_of(bind), text_of(ratio));
  }
  return fmt::format("Threads bound to: {}, which measured best (beside none: {}).\n", name_of(choice.bind), tried);
}

Figure figure_of(const ScalingRun& run, const std::vector<ImageSize>& sizes) {
  std::vector<FigurePoint> points;
  for (std::size_t i = 0; i < run.points.size(); ++i) {
    const double work = run.grows ? static_cast<double>(sizes[i].width * sizes[i].height) : 1;
    points.push_back(figure_point(run.points[i], work));
  }
  return run.grows ? weak_scaling_figure(points) : strong_scaling_figure(points, run.laws);
}

}  // namespace

ThreadsReport run_strong_or_weak(const ThreadsArguments& a, const Machine& machine, Progress& progress) {
  const bool grows = a.mode == "weak";
  ScalingOptions options{.threads = a.threads, .bind = bind_of(a), .rounds = a.rounds};
  if (options.threads.empty()) options.threads = thread_counts(machine.topology, machine.available);
  if (options.threads.back() > machine.available) {
    progress.say(fmt::format("note: {} threads share {}: what is over that measures the sharing",
                             options.threads.back(), counted(machine.available, "CPU")));
  }
  options.round_seconds = a.round_seconds;
  const std::size_t free_bytes = available_memory();
  constexpr std::size_t kHalf = 2;
  options.memory = free_bytes / kHalf;
  options.array_bytes = triad_bytes(machine.topology.last_cache_bytes(), free_bytes);
  const ImageSize size = parse_size(a.network.size);
  std::vector<ImageSize> sizes;
  for (const int n : options.threads) {
    sizes.push_back(grows ? grown(size, n) : size);
    if (grows) options.work.push_back(static_cast<double>(sizes.back().width * sizes.back().height));
  }
  const FitMaker make = [&](int n, const std::vector<CpuSet>& places) {
    const auto at = std::find(options.threads.begin(), options.threads.end(), n) - options.threads.begin();
    return make_bench_fit(a.network, sizes[static_cast<std::size_t>(at)], n, places);
  };
  std::string stage;
  auto start = std::chrono::steady_clock::now();
  const ScalingRun run = measure_scaling(make, machine.topology, options, [&](const std::string& now, const auto& at) {
    if (now != stage) {
      progress.begin(now);
      start = std::chrono::steady_clock::now();
    }
    stage = now;
    progress.show_share(at.share, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  });
  progress.finish();

  double precision = 0;
  for (const ScalingPoint& point : run.points) precision = std::max(precision, point.seconds.relative_width());
  const std::vector<std::string> explanation = explain(run, machine.topology);
  ThreadsReport report;
  report.text = table_of(run, sizes, landmarks(machine.topology)) +
                how_it_ended(a.rounds, run.ended, run.rounds, run.seconds, precision) + "\n" + bind_text(run.bind);
  if (!grows) report.text += ops_table(run);
  for (const std::string& sentence : explanation) report.text += "\n" + sentence + "\n";
  report.csv = csv_of(run, sizes);
  report.figure = figure_of(run, sizes);
  const int threads = grows ? options.threads.back() : enough_threads(run).threads;
  report.recommended = restore_command(a, {.threads = threads, .bind = run.bind.bind});

  report.json["rounds"] = run.rounds;
  report.json["precision"] = precision;
  report.json["seconds"] = run.seconds;
  static const std::map<Ended, std::string> ends{
      {Ended::precise, "precise"}, {Ended::out_of_time, "out of time"}, {Ended::as_asked, "as asked"}};
  report.json["ended"] = ends.at(run.ended);
  Json tried;
  for (const auto& [bind, ratio] : run.bind.tried) tried[name_of(bind)] = cli::to_json(ratio);
  report.json["bind"] = Json{{"chosen", name_of(run.bind.bind)}, {"tried", tried}};
  const Drift drift = drift_of(run.reference);
  report.json["conditions"] = Json{{"others_cpus", run.load.others},
                                   {"stolen_cpus", run.load.stolen},
                                   {"throttled_share", run.load.throttled},
                                   {"preemptions_per_second", run.load.preemptions},
                                   {"load_average", run.load.load_average},
                                   {"reference_seconds", run.reference},
                                   {"slower_at_end", drift.slower_at_end},
                                   {"slow_share", drift.slow_share},
                                   {"disturbed", what_disturbed(run.load, run.reference)}};
  report.json["points"] = Json::array();
  for (std::size_t i = 0; i < run.points.size(); ++i) {
    report.json["points"].push_back(to_json(run.points[i], sizes[i], grows));
  }
  if (run.laws) report.json["laws"] = to_json(*run.laws);
  report.json["explanation"] = explanation;
  return report;
}

}  // namespace hourglass::cli
