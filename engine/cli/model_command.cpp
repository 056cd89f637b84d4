// hourglass model make | info | list: topologies as ONNX files, and what they cost. (check: model_check_command.cpp)
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/network_option.h"
#include "engine/cli/output.h"
#include "engine/cli/size_option.h"
#include "engine/image/file.h"
#include "engine/restore/energy.h"
#include "engine/restore/learned_map.h"
#include "engine/restore/network.h"
#include "engine/restore/restoration.h"
#include "graph/error.h"
#include "graph/onnx_export.h"
#include "graph/onnx_import.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "models/cost.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

// ---- make

struct MakeOptions {
  std::string kind = "skip";
  // Empty: not given. What belongs to some kinds only is refused for the others.
  std::vector<int64_t> channels, up_channels, skips;
  int64_t output_channels = 3;
  std::optional<double> sigma;
  std::optional<int64_t> depth, convolutions, blocks, scales, filter, filter_down, filter_up, filter_skip;
  std::string upsample, down, activation, padding;
  bool no_extra_1x1 = false, no_sigmoid = false, force = false;
  std::string output;
};

constexpr const char* kMakeFooter =
    R"(The file holds no weights: they are drawn when a fit starts. Its height and width are open.

Examples:
  hourglass model make -o hourglass.onnx                    the standard skip hourglass
  hourglass model make --channels 8,16,32,64,128 --skips 0,0,0,4,4 --depth 3 -o small.onnx
  hourglass model make --kind unet --channels 16,32,64 --down stride -o unet.onnx
  hourglass model make --kind resnet --channels 64 --blocks 6 -o resnet.onnx
  hourglass model make --kind deep_decoder --channels 64,64,64,64 -o decoder.onnx
  hourglass model make --kind texture --scales 6 -o texture.onnx
  hourglass model make --kind residual_unet --channels 32,64 -o map.onnx
  hourglass model make --kind blur --sigma 2 -o blur.onnx)";

const std::map<std::string, Upsample> kUpsample{
    {"bilinear", Upsample::bilinear}, {"nearest", Upsample::nearest}, {"transposed", Upsample::transposed}};
const std::map<std::string, Downsample> kDown{{"stride", Downsample::stride},
                                              {"average", Downsample::average},
                                              {"max", Downsample::max},
                                              {"lanczos", Downsample::lanczos}};
const std::map<std::string, Activation> kActivation{{"leaky_relu", Activation::leaky_relu},
                                                    {"swish", Activation::swish},
                                                    {"elu", Activation::elu},
                                                    {"relu", Activation::relu}};
const std::map<std::string, Padding> kPadding{{"reflect", Padding::reflect}, {"zero", Padding::zero}};

template <class T>
Check key_of(const std::map<std::string, T>& choices) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) names.push_back(name);
  return one_of(names);
}

// What all kinds have.
template <class Options>
Options shared_options(const MakeOptions& make) {
  Options options;
  constexpr int64_t kDepth = 32;
  options.input_depth = make.depth.value_or(kDepth);
  options.output_channels = make.output_channels;
  if (!make.activation.empty()) options.activation = kActivation.at(make.activation);
  options.sigmoid = !make.no_sigmoid;
  if constexpr (requires { options.upsample; }) {
    if (!make.upsample.empty()) options.upsample = kUpsample.at(make.upsample);
  }
  if constexpr (requires { options.down; }) {
    if (!make.down.empty()) options.down = kDown.at(make.down);
  }
  if constexpr (requires { options.padding; }) {
    if (!make.padding.empty()) options.padding = kPadding.at(make.padding);
  }
  if constexpr (requires { options.filter; }) {
    if (make.filter) options.filter = *make.filter;
  }
  if constexpr (requires { options.channels.size(); }) {
    if (!make.channels.empty()) options.channels = make.channels;
  } else if (!make.channels.empty()) {
    if (make.channels.size() != 1) fail("--channels: --kind {} takes one number", make.kind);
    options.channels = make.channels.front();
  }
  return options;
}

// Throws Error for a given option that the kind does not have.
template <class Options>
void refuse_others(const MakeOptions& make) {
  constexpr bool kSkip = std::is_same_v<Options, SkipOptions>;
  const auto refuse = [&](bool given, bool known, std::string_view name) {
    if (given && !known) fail("{} has no meaning for --kind {}", name, make.kind);
  };
  refuse(!make.skips.empty(), kSkip, "--skips");
  refuse(!make.up_channels.empty(), kSkip, "--up-channels");
  refuse(make.no_extra_1x1, kSkip, "--no-extra-1x1");
  refuse(make.filter_down.has_value(), kSkip, "--filter-down");
  refuse(make.filter_up.has_value(), kSkip, "--filter-up");
  refuse(make.filter_skip.has_value(), kSkip, "--filter-skip");
  refuse(
      make.depth.has_value(), requires(Options o) { o.input_depth; } && !std::is_same_v<Options, ResidualUnetOptions>,
      "--depth");
  refuse(
      make.convolutions.has_value(), requires(Options o) { o.convolutions; }, "--convolutions");
  refuse(
      !make.activation.empty(), requires(Options o) { o.activation; }, "--activation");
  refuse(
      make.no_sigmoid, requires(Options o) { o.sigmoid; }, "--no-sigmoid");
  refuse(
      make.filter.has_value(), requires(Options o) { o.filter; }, "--filter");
  refuse(
      make.blocks.has_value(), requires(Options o) { o.blocks; }, "--blocks");
  refuse(
      make.scales.has_value(), requires(Options o) { o.scales; }, "--scales");
  refuse(
      !make.upsample.empty(), requires(Options o) { o.upsample; }, "--upsample");
  refuse(
      !make.down.empty(), requires(Options o) { o.down; }, "--down");
  refuse(
      !make.padding.empty(), requires(Options o) { o.padding; }, "--padding");
}

// The file leaves the size open; the graph in between needs one that fits, reflections included.
template <class Options>
Graph made(Graph (*make)(const Options&, int64_t, int64_t), const Options& options, int64_t largest_filter) {
  const int64_t size = size_multiple(options) * (largest_filter / 2 + 1);
  return make(options, size, size);
}

Graph make_graph(const MakeOptions& make) {
  if (make.sigma && make.kind != "blur") fail("--sigma has no meaning for --kind {}", make.kind);
  if (make.kind == "blur") {
    refuse_others<BlurOptions>(make);
    BlurOptions options{.channels = make.output_channels};
    if (make.sigma) options.sigma = *make.sigma;
    return make_blur(options, 8, 8);
  }
  if (make.kind == "unet") {
    refuse_others<UnetOptions>(make);
    const auto options = shared_options<UnetOptions>(make);
    return made(make_unet, options, options.filter);
  }
  if (make.kind == "resnet") {
    refuse_others<ResnetOptions>(make);
    auto options = shared_options<ResnetOptions>(make);
    if (make.blocks) options.blocks = *make.blocks;
    return made(make_resnet, options, options.filter);
  }
  if (make.kind == "deep_decoder") {
    refuse_others<DeepDecoderOptions>(make);
    return made(make_deep_decoder, shared_options<DeepDecoderOptions>(make), 1);
  }
  if (make.kind == "texture") {
    refuse_others<TextureOptions>(make);
    auto options = shared_options<TextureOptions>(make);
    if (make.scales) options.scales = *make.scales;
    return made(make_texture, options, options.filter);
  }
  if (make.kind == "residual_unet") {
    refuse_others<ResidualUnetOptions>(make);
    if (make.output_channels != 1 && make.output_channels != 3) fail("--output-channels: 1 or 3 for a residual_unet");
    ResidualUnetOptions options{.input_depth = map_input_depth(make.output_channels),
                                .output_channels = make.output_channels};
    if (!make.channels.empty()) options.channels = make.channels;
    if (make.convolutions) options.convolutions = *make.convolutions;
    return made(make_residual_unet, options, 3);
  }
  refuse_others<SkipOptions>(make);
  auto options = shared_options<SkipOptions>(make);
  options.up_channels = make.up_channels;
  options.skips.resize(options.channels.size(), options.skips.back());
  if (!make.skips.empty()) options.skips = make.skips;
  options.extra_1x1_up = !make.no_extra_1x1;
  if (make.filter_down) options.filter_down = *make.filter_down;
  if (make.filter_up) options.filter_up = *make.filter_up;
  if (make.filter_skip) options.filter_skip = *make.filter_skip;
  return made(make_skip, options, std::max({options.filter_down, options.filter_up, options.filter_skip}));
}

ExitCode run_make(MakeOptions& options) {
  options.output = output_name(options.output);
  check_writable(options.output, options.force);
  const Graph graph = make_graph(options);
  const std::string bytes = export_onnx(graph, {.dynamic_size = true});
  write_file_atomically(options.output, bytes_of(bytes), options.force);
  // Where the file itself goes to stdout, the report makes way.
  print_to(options.output == "-" ? stderr : stdout,
           fmt::format("{}: {} parameters, {} bytes\n", options.output, cost_of(graph).parameters, bytes.size()));
  return ExitCode::ok;
}

Command make_command() {
  const auto options = std::make_shared<MakeOptions>();
  MakeOptions& o = *options;
  Command command{.name = "make", .help = "Write a topology as an ONNX file without weights", .footer = kMakeFooter};
  command.add(
      {{.names = "--kind",
        .target = &o.kind,
        .help = "skip: the paper's hourglass; the others by their names; residual_unet is what 'hourglass restore "
                "--method learn' teaches, blur a degradation for 'hourglass restore'",
        .checks = {one_of({"skip", "unet", "resnet", "deep_decoder", "texture", "residual_unet", "blur"})},
        .common = true},
       {.names = "--channels",
        .target = &o.channels,
        .help = "Channels of each scale, the finest first (deep_decoder: last): 8,16,32,64,128; "
                "resnet, texture: one number",
        .common = true},
       {.names = "--up-channels", .target = &o.up_channels, .help = "The same on the way up (default: as --channels)"},
       {.names = "--skips", .target = &o.skips, .help = "Channels of each scale's skip, 0 for none (default: 4 each)"},
       {.names = "--blocks",
        .target = &o.blocks,
        .help = "Residual blocks of a resnet (default: 8)",
        .checks = {range(1, 256)}},
       {.names = "--convolutions",
        .target = &o.convolutions,
        .help = "Of 3x3 in each block of a residual_unet (default: 2)",
        .checks = {range(1, 16)}},
       {.names = "--scales",
        .target = &o.scales,
        .help = "Sizes that a texture network works at (default: 5)",
        .checks = {range(1, 12)}},
       {.names = "--sigma",
        .target = &o.sigma,
        .help = "Of a blur, in pixels (default: 1.5)",
        .checks = {range(0.05, 64.0)}},
       {.names = "--depth", .target = &o.depth, .help = "Channels of the input noise (default: 32)"},
       {.names = "--output-channels", .target = &o.output_channels, .help = "3 for colour, 1 for gray"},
       {.names = "--filter",
        .target = &o.filter,
        .help = "Side of a unet's, resnet's or texture network's filters, odd (default: 3)"},
       {.names = "--filter-down",
        .target = &o.filter_down,
        .help = "Skip: side of the filters on the way down, odd (default: 3)"},
       {.names = "--filter-up", .target = &o.filter_up, .help = "The same on the way up (default: 3)"},
       {.names = "--filter-skip", .target = &o.filter_skip, .help = "The same in the skips (default: 1)"},
       {.names = "--upsample",
        .target = &o.upsample,
        .help = "How sizes double (default: bilinear, for texture nearest)",
        .checks = {key_of(kUpsample)}},
       {.names = "--down",
        .target = &o.down,
        .help = "How sizes halve (default: stride, for a U-Net max)",
        .checks = {key_of(kDown)}},
       {.names = "--activation",
        .target = &o.activation,
        .help = "Default: leaky_relu, which has slope 0.2; for deep_decoder relu",
        .checks = {key_of(kActivation)}},
       {.names = "--padding",
        .target = &o.padding,
        .help = "What convolutions see beyond the border (default: reflect)",
        .checks = {key_of(kPadding)}},
       {.names = "--no-extra-1x1",
        .target = &o.no_extra_1x1,
        .help = "Without the 1x1 convolution behind each on the way up"},
       {.names = "--no-sigmoid", .target = &o.no_sigmoid, .help = "Without the sigmoid that brings the output to 0..1"},
       {.names = "-o,--output",
        .takes = "FILE",
        .target = &o.output,
        .help = "The ONNX file to write",
        .required = true,
        .common = true},
       {.names = "--force", .target = &o.force, .help = "Replace an existing output", .common = true}});
  command.run = [options](ParsedCommand&) { return run_make(*options); };
  return command;
}

// ---- info

struct InfoOptions {
  std::string model, output, size, precision = "auto";
  int threads = 0;
  bool json = false;
};

constexpr const char* kInfoFooter =
    R"(GFLOP are those of the convolutions, two per multiply-add; 'training' is forward and backward. The memory is what one
fit to an image of this size holds in all, and what --memory-limit must allow; a --report takes 30 MiB more.

Examples:
  hourglass model info small
  hourglass model info net.onnx --size 1024x768)";

struct Info {
  Network network;
  ImageSize size;
  NetworkCost cost;
  Precision precision = Precision::f32;
  std::size_t peak_bytes = 0;
};

// What fitting it holds, with plain MSE to a gray or colour image, as --memory-limit counts it.
std::size_t peak_bytes_of(const Network& network, const InfoOptions& options, ImageSize size, Precision precision) {
  const Shape& shape = network.graph.shape(network.image);
  const Problem problem = mse_problem(network, op_table(), Image(shape[3], shape[2], static_cast<int>(shape[1])));
  RestoreOptions fit;
  fit.fit.threads = options.threads;
  fit.fit.precision = precision;
  fit.fit.memory_besides = memory_besides_fits(size.width * size.height);
  return needed_bytes(problem, op_table(), fit);
}

Info inspect(const InfoOptions& options) {
  const ChosenNetwork chosen = choose_network(options.model, options.output, {});
  Info info;
  info.size = options.size.empty() ? usual_size(chosen.make, chosen.fixed) : parse_size(options.size);
  info.network = bind_network(chosen.make, op_table(), info.size.height, info.size.width, chosen.fixed);
  for (const std::string& note : *chosen.notes) warn(fmt::format("{}: {}", options.model, note));
  info.cost = cost_of(info.network.graph);
  info.precision = choose_precision(options.precision);
  info.peak_bytes = peak_bytes_of(info.network, options, info.size, info.precision);
  return info;
}

std::string giga(double flops) { return flops > 0 ? fmt::format("{:.3f}", flops / 1e9) : std::string(); }

void print_text(const Info& info) {
  const NetworkCost& cost = info.cost;
  std::size_t wide = 5, op_wide = 2, shape_wide = 6;
  for (const LayerCost& layer : cost.layers) {
    wide = std::max(wide, layer.name.size());
    op_wide = std::max(op_wide, layer.op.size());
    shape_wide = std::max(shape_wide, layer.shape.to_string().size());
  }
  const auto row = [&](const std::string& name, const std::string& op, const std::string& shape,
                       const std::string& parameters, const std::string& forward, const std::string& training) {
    const std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>10}  {:>7}  {:>8}", name, wide, op, op_wide, shape,
                                         shape_wide, parameters, forward, training);
    fmt::print("{}\n", text.substr(0, text.find_last_not_of(' ') + 1));
  };
  row("layer", "op", "output", "parameters", "GFLOP", "training");
  for (const LayerCost& layer : cost.layers) {
    row(layer.name, layer.op, layer.shape.to_string(), layer.parameters > 0 ? std::to_string(layer.parameters) : "",
        giga(layer.forward_flops), giga(layer.training_flops));
  }
  const Graph& graph = info.network.graph;
  const auto value = [&](ValueId id) { return fmt::format("{} {}", graph.value(id).name, graph.shape(id)); };
  fmt::print("\nimage        {}x{} on a canvas of {}x{}\n", info.size.width, info.size.height,
             info.network.canvas_width, info.network.canvas_height);
  fmt::print("input        {}\n", value(info.network.input));
  fmt::print("output       {}\n", value(info.network.image));
  fmt::print("parameters   {}\n", cost.parameters);
  fmt::print("arithmetic   {:.3f} GFLOP forward, {:.3f} forward and backward\n", cost.forward_flops / 1e9,
             cost.training_flops / 1e9);
  fmt::print("peak memory  {}, fitting in {}\n", size_text(info.peak_bytes), name_of(info.precision));
}

void print_json(const Info& info) {
  const Graph& graph = info.network.graph;
  const auto value = [&](ValueId id) {
    return Json{{"name", graph.value(id).name}, {"shape", graph.shape(id).dims()}};
  };
  auto layers = Json::array();
  for (const LayerCost& layer : info.cost.layers) {
    layers.push_back({{"name", layer.name},
                      {"op", layer.op},
                      {"shape", layer.shape.dims()},
                      {"parameters", layer.parameters},
                      {"forward_flops", layer.forward_flops},
                      {"training_flops", layer.training_flops}});
  }
  const Json json = {{"input", value(info.network.input)},
                     {"output", value(info.network.image)},
                     {"canvas_width", info.network.canvas_width},
                     {"canvas_height", info.network.canvas_height},
                     {"parameters", info.cost.parameters},
                     {"forward_flops", info.cost.forward_flops},
                     {"training_flops", info.cost.training_flops},
                     {"precision", name_of(info.precision)},
                     {"peak_bytes", info.peak_bytes},
                     {"layers", std::move(layers)}};
  fmt::print("{}\n", result_object(json).text());
}

ExitCode run_info(const InfoOptions& options) {
  const Info info = inspect(options);
  options.json ? print_json(info) : print_text(info);
  return ExitCode::ok;
}

Command info_command() {
  const auto options = std::make_shared<InfoOptions>();
  Command command{
      .name = "info", .help = "Layers, shapes, parameters, arithmetic and memory of a network", .footer = kInfoFooter};
  command.add({{.names = "MODEL",
                .takes = "NET",
                .target = &options->model,
                .help = "An ONNX file, or a name that 'hourglass model list' prints",
                .required = true},
               model_output_option(options->output),
               {.names = "--size",
                .takes = "WIDTHxHEIGHT",
                .target = &options->size,
                .help = "The image's, WIDTHxHEIGHT (default: 512x512, or what the file fixes)"},
               {.names = "--precision",
                .target = &options->precision,
                .help = "What a fit would compute in",
                .checks = {one_of({"auto", "f32", "bf16"})}},
               {.names = "--threads",
                .target = &options->threads,
                .help = "0: all that are available; some kernels keep a copy for each",
                .checks = {range(0, 1024)}},
               {.names = "--json", .target = &options->json, .help = "Report as one line of JSON"}});
  command.run = [options](ParsedCommand&) { return run_info(*options); };
  return command;
}

// ---- list

ExitCode run_list() {
  std::size_t width = 0;
  for (const Builtin& entry : builtins()) width = std::max(width, entry.name.size());
  for (const Builtin& entry : builtins()) fmt::print("{:<{}}  {}\n", entry.name, width, entry.description);
  return ExitCode::ok;
}

}  // namespace

Command model_command() {
  return {.name = "model",
          .help = "Make network topologies, check them, and say what they cost",
          .commands = {
              make_command(),
              info_command(),
              model_check_command(),
              {.name = "list", .help = "The built-in topologies", .run = [](ParsedCommand&) { return run_list(); }}}};
}

}  // namespace hourglass::cli
