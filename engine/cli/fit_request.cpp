#include "engine/cli/fit_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "engine/cli/freeze_option.h"
#include "engine/cli/network_option.h"
#include "engine/image/file.h"
#include "engine/measure/side_by_side.h"
#include "engine/restore/draw_weights.h"
#include "engine/restore/restoration.h"
#include "engine/runtime/cpus.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/placement.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

// All that the command line says but the files, and how many runs go on at once.
RestoreOptions options_of(const FitArguments& arguments, const RunRequest& request) {
  RestoreOptions options;
  options.iterations = arguments.iterations;
  options.runs = arguments.runs;
  options.profile = !arguments.report.empty();
  options.original = request.original;
  options.bit_depth = request.bit_depth;
  options.stopping = resolve_stop(arguments.stop, static_cast<bool>(request.what.task.discrepancy()));
  options.schedule = arguments.schedule == "cosine" ? Schedule::cosine : Schedule::constant;
  FitOptions& fit = options.fit;
  fit.seed = arguments.seed;
  fit.threads = request.threads;
  const std::optional<double> rate = set_rate(arguments.learning_rate, arguments.model);
  fit.adam.learning_rate = rate.value_or(kUsualRate);
  options.find_rate = !rate;
  fit.optimize_network = arguments.optimize != "input";
  fit.optimize_input = arguments.optimize != "net";
  fit.input = arguments.network_input == "meshgrid" ? InputKind::meshgrid
              : arguments.distribution == "normal"  ? InputKind::normal
                                                    : InputKind::uniform;
  if (arguments.input_noise) fit.input_noise = *arguments.input_noise;
  fit.memory_limit = arguments.memory_limit.value_or(0);
  constexpr std::size_t kOfPlots = std::size_t{30} << 20;  // with their fonts
  fit.memory_besides =
      memory_besides_fits(request.what.input.image.plane_size()) + (request.what.observers.empty() ? 0 : kOfPlots);
  fit.precision = choose_precision(arguments.precision);
  if (fit.precision == Precision::bf16 && !has_native_bf16()) {
    fail("--precision bf16: this CPU has no bf16 arithmetic, emulating it would be slower than f32; use f32 or auto");
  }
  return options;
}

constexpr int64_t kMeshgridDepth = 2;

// The errors of a network's file are told before anything else is said.
Network bind(const ChosenNetwork& chosen, const Image& image, const FitArguments& arguments, InputKind input) {
  try {
    Network network = bind_network(chosen.make, op_table(), image, chosen.fixed);
    const int64_t depth = network.graph.shape(network.input)[1];
    if (input == InputKind::meshgrid && depth != kMeshgridDepth) {
      fail(
          "its input has {} channel{}, and --input meshgrid has two: 'hourglass model make --depth 2' makes such "
          "networks",
          depth, depth == 1 ? "" : "s");
    }
    freeze(network.graph, arguments.freeze);
    if (arguments.weights == "draw") {
      const std::vector<std::string> kept = draw_weights(network.graph);
      if (!kept.empty()) {
        chosen.notes->push_back("--weights draw: these start as in the file, since nothing says how else: " +
                                join(kept, ", "));
      }
    }
    return network;
  } catch (const Error& error) {
    // The importer names the file by itself.
    if (std::string_view(error.what()).find(chosen.name) != std::string_view::npos) throw;
    throw error.within(chosen.name);
  }
}

// Makes the request one of tiles of that side, and returns the network of the largest.
Network begin_tiles(FitRequest& request, const FitArguments& arguments, const NetworkOf& of_tile, int64_t side) {
  const Task& task = request.what.task;
  const TileGrid tiles = tiles_of(task, side);
  const int64_t pixels = task.baseline().plane_size();
  RestoreOptions& options = request.options;
  options.tile_side = side;
  options.runs = tiles.count();
  options.at_once = std::clamp(arguments.at_once.value_or(1), 1, tiles.count());
  options.fit.memory_besides -= memory_besides_fits(pixels) - memory_besides_tiles(pixels);
  request.of_tile = of_tile;
  const Rectangle largest = tiles.rectangle(tiles.largest());
  request.tiles_note =
      fmt::format("fitted in {} tiles of at most {}x{} pixels, which overlap and are blended, all from the same seed",
                  tiles.count(), largest.width, largest.height);
  return of_tile(task.tile(largest)->baseline());
}

std::size_t memory_for(const FitRequest& request, const Task& task, const Network& network) {
  return needed_bytes(make_problem(task, network, op_table()), op_table(), request.options);
}

// The network of the image as a whole, or, where that is asked for or the whole does not fit into memory, of its
// largest tile; the request is then one of tiles. A run that goes on has the tiles that it began with.
Network whole_or_tile(FitRequest& request, const FitArguments& arguments, const NetworkOf& of_tile) {
  const Task& task = request.what.task;
  const Image& sought = task.baseline();
  const int64_t longest = std::max(sought.width, sought.height);
  const Archive* resumed = request.call.resumed.get();
  const bool was_chosen = !arguments.tile_side && resumed != nullptr && resumed->has("tile_side");
  const int64_t asked = was_chosen ? resumed->integer("tile_side") : arguments.tile_side.value_or(0);
  if (asked > 0) {
    if (arguments.runs > 1) fail("--tile and --runs: tiles are fitted once each, leave out one of the two");
    if (tiles_of(task, asked).count() > 1) return begin_tiles(request, arguments, of_tile, asked);
  }
  Network whole = of_tile(sought);
  const bool chooses = request.what.may_be_cut && task.tile_unit() > 0 && !arguments.tile_side && resumed == nullptr &&
                       arguments.runs == 1 && !request.saves_network() && longest > kLeastUsualTile;
  const std::size_t limit = arguments.memory_limit ? *arguments.memory_limit : available_memory();
  if (!chooses || limit == 0) return whole;
  const std::size_t needed = memory_for(request, task, whole);
  if (needed <= limit) return whole;
  const RestoreOptions as_whole = request.options;
  for (const int64_t side : {8 * kLeastUsualTile, 4 * kLeastUsualTile, 2 * kLeastUsualTile, kLeastUsualTile}) {
    if (side >= longest) continue;
    request.options = as_whole;
    Network network = begin_tiles(request, arguments, of_tile, side);
    const TileGrid tiles = tiles_of(task, side);
    const std::size_t of_tiles = memory_for(request, *task.tile(tiles.rectangle(tiles.largest())), network);
    if (of_tiles > limit && side > kLeastUsualTile) continue;
    if (of_tiles > limit && arguments.memory_limit) {
      fail(
          "the fit needs {} even in tiles of {} pixels, the limit is {}: take a smaller network, or bf16 where the CPU "
          "has it",
          size_text(of_tiles), side, size_text(limit));
    }
    request.tiles_note += fmt::format("; as a whole it would take {}, and {} {} (--tile)", size_text(needed),
                                      arguments.memory_limit ? "the limit is" : "the machine has", size_text(limit));
    return network;
  }
  return whole;
}

// How many runs go on at once, and, where a short timing decides it, what is to be said of that.
void choose_at_once(FitRequest& request, const FitArguments& arguments, const Network& network) {
  RestoreOptions& options = request.options;
  // Shorter fits end before it is known how they are best done.
  constexpr int64_t kWorthTiming = 200;
  constexpr double kSeconds = 1.5;  // for each number
  if (options.tile_side > 0) return;
  if (arguments.at_once) {
    options.at_once = std::min(*arguments.at_once, options.runs);
    return;
  }
  const int threads = threads_of(options);
  if (options.runs == 1 || threads == 1 || options.iterations < kWorthTiming) return;
  const Problem problem = make_problem(request.what.task, network, op_table());
  const ShareMaker make = [&](int at_once, int) {
    RestoreOptions divided = options;
    divided.at_once = at_once;
    check_memory(problem, op_table(), divided);
    return std::make_unique<Fit>(problem, op_table(), share_of(divided, 0));
  };
  options.at_once = best_split(make, options.runs, threads, kSeconds);
  const int each = threads / options.at_once;
  request.at_once_note =
      fmt::format("{} runs: {} at once on {} thread{} each are done soonest, as a short timing says (--at-once)",
                  options.runs, options.at_once, each, each == 1 ? "" : "s");
}

void choose_places(RestoreOptions& options, const std::string& bind) {
  if (bind == name_of(Bind::none)) return;
  // Runs side by side have CPUs of their own as it is.
  if (options.at_once > 1)
    fail("--bind {}: {} runs at once divide the CPUs among them: --at-once 1", bind, options.at_once);
  options.fit.places = place_threads(read_topology(), bind_of(bind), threads_of(options));
}

}  // namespace

ResolvedFit resolve(const FitArguments& arguments, const FitCall& call, const TaskRun& what) {
  FitRequest request{resolve_run(arguments, call, what), arguments.model};
  request.history = arguments.history;
  request.profile = arguments.profile;
  request.save_network = arguments.save_network;
  request.save_input = arguments.save_input;
  if (request.saves_network() && (arguments.runs > 1 || arguments.tile_side.value_or(0) > 0)) {
    fail("{}: each of the {} fits a network of its own, and the result is of all of them: leave out {}",
         request.save_network.empty() ? "--network-input" : "--save-network",
         arguments.runs > 1 ? fmt::format("{} runs", arguments.runs) : "tiles",
         arguments.runs > 1 ? "--runs" : "--tile");
  }
  request.checkpoint = {.path = checkpoint_path(arguments, request),
                        .on_request = !arguments.checkpoint.empty(),
                        .every_seconds = arguments.checkpoint_every};
  request.options = options_of(arguments, request);
  request.stop = arguments.stop.rule;

  const Image& sought = what.task.baseline();
  const InputKind input = request.options.fit.input;
  const ChosenNetwork chosen = choose_network(
      request.model, arguments.model_output,
      {.output_channels = sought.channels, .input_depth = input == InputKind::meshgrid ? kMeshgridDepth : 0});
  const NetworkOf of_tile = [chosen, arguments, input](const Image& tile) {
    return bind(chosen, tile, arguments, input);
  };
  Network network = whole_or_tile(request, arguments, of_tile);
  request.notes = *chosen.notes;
  if (std::string note = buffers_note(network.graph); !note.empty()) request.notes.push_back(std::move(note));
  choose_at_once(request, arguments, network);
  choose_places(request.options, arguments.bind);
  return {.request = std::move(request), .network = std::move(network)};
}

std::optional<double> set_rate(std::optional<double> rate, const std::string& model) {
  if (rate || find_builtin(model) == nullptr) return rate;
  return kUsualRate;
}

NamedValues values_in_force(const FitRequest& request) {
  const FitOptions& fit = request.options.fit;
  NamedValues values{{"model", request.model},
                     {"iterations", fmt::format("{}", request.options.iterations)},
                     {"input-noise", fmt::format("{}", fit.input_noise)},
                     {"threads", fmt::format("{}", threads_of(request.options))},
                     {"precision", std::string(name_of(fit.precision))}};
  if (!request.options.find_rate) values.emplace_back("learning-rate", fmt::format("{}", fit.adam.learning_rate));
  if (request.options.tile_side == 0 && request.options.runs > 1) {
    values.emplace_back("at-once", fmt::format("{}", request.options.at_once));
  }
  return values;
}

}  // namespace hourglass::cli
