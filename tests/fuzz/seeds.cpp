// The files that the fuzz targets begin with, made anew each time: fuzz_seeds FOLDER writes FOLDER/TARGET/NAME, small
// files of every kind that a target reads, and FOLDER/command_line.dict, the words of the command line.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/image/jxl.h"
#include "engine/image/npy.h"
#include "engine/image/png.h"
#include "engine/report/html_report.h"
#include "engine/report/run_log.h"
#include "engine/restore/restoration.h"
#include "engine/train/archive.h"
#include "graph/onnx_export.h"
#include "tests/engine/image/fixtures.h"
#include "tests/engine/image/foreign_jxl.h"
#include "tests/fuzz/tiny.h"

namespace {

using namespace hourglass;
using test::Bytes;
namespace fs = std::filesystem;
using namespace std::string_literals;

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

struct Folder {
  fs::path path;

  void put(const std::string& name, const Bytes& bytes) const { put(name, text_of(bytes)); }
  void put(const std::string& name, const std::string& bytes) const {
    fs::create_directories(path);
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
};

void add_jpegs(const Folder& folder) {
  const Image gray = test::make_picture(16, 16, 1), color = test::make_picture(13, 16, 3);
  folder.put("gray", encode_jpeg(gray, {}));
  folder.put("gray_progressive", encode_jpeg(gray, {.quality = 30, .progressive = true}));
  for (const auto& [name, sampling] : {std::pair{"444", Subsampling::s444}, std::pair{"422", Subsampling::s422},
                                       std::pair{"420", Subsampling::s420}, std::pair{"440", Subsampling::s440}}) {
    folder.put("color_"s + name, encode_jpeg(color, {.quality = 20, .subsampling = sampling, .optimize = true}));
  }
  folder.put("progressive", encode_jpeg(color, {.quality = 60, .progressive = true}));
  folder.put("restarts", encode_jpeg(color, {.subsampling = Subsampling::s444, .restart_interval = 1}));
  folder.put("arithmetic", test::encode_raw_jpeg(16, 16, {.arithmetic = true}));
  folder.put("rgb", test::encode_raw_jpeg(9, 7, {}));
  folder.put("scan_each", test::encode_raw_jpeg(16, 8, {.file_space = 3, .sequential_scans = true}));
  folder.put("ratio_4", test::encode_raw_jpeg(16, 16, {.file_space = 3, .luma_h = 4, .luma_v = 1}));
  const Bytes small = encode_jpeg(test::make_picture(8, 8, 3), {.optimize = true});
  folder.put("no_end", Bytes(small.begin(), small.end() - 2));
  folder.put("exif", test::with_segment(small, 0xe1, "Exif\0\0"s + text_of(test::make_exif(true, 6))));
  folder.put("exif_little", test::with_segment(small, 0xe1, "Exif\0\0"s + text_of(test::make_exif(false, 3))));
  folder.put("xmp", test::with_segment(small, 0xe1, "http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"s));
  folder.put("iptc", test::with_segment(small, 0xed,
                                        "Photoshop 3.0\0"
                                        "8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x74\0\x03me!"s));
  folder.put("comment", test::with_segment(small, 0xfe, "hourglass\nwritten by hand"));
  folder.put("profile", test::with_segment(small, 0xe2, "ICC_PROFILE\0\x01\x01"s + std::string(132, '\0')));
}

void add_pngs(const Folder& folder) {
  const Image gray = test::make_picture(7, 5, 1), color = test::make_picture(5, 4, 3);
  Metadata metadata;
  metadata.exif = test::make_exif(true, 6);
  metadata.density = PixelDensity{.x = 3000, .y = 3000, .per_metre = true};
  metadata.text = {{"Comment", "seen"}, {kXmpKeyword, "<x:xmpmeta/>"}};
  for (const int depth : {8, 16}) {
    folder.put("gray_" + std::to_string(depth), encode_png(gray, {.bit_depth = depth}));
    folder.put("color_" + std::to_string(depth), encode_png(color, {.bit_depth = depth, .metadata = &metadata}));
  }
  const Bytes row{0x1b, 0xe4, 0x1b, 0xe4};
  folder.put("gray_2", test::encode_raw_png(9, 2, {row, row}, {.color_type = 0, .bit_depth = 2}));
  folder.put("interlaced",
             test::encode_raw_png(4, 4, {4, Bytes(4, 9)}, {.color_type = 0, .bit_depth = 8, .interlaced = true}));
  folder.put("palette", test::encode_raw_png(
                            4, 2, {{0x1b}, {0xe4}},
                            {.color_type = 3, .bit_depth = 2, .palette = {0, 1, 2, 9, 8, 7, 50, 60, 70, 1, 1, 1}}));
  folder.put("palette_alpha", test::encode_raw_png(4, 1, {{0x1b}},
                                                   {.color_type = 3,
                                                    .bit_depth = 2,
                                                    .palette = {0, 1, 2, 9, 8, 7, 50, 60, 70, 1, 1, 1},
                                                    .palette_alpha = {255, 255}}));
  folder.put("opaque", test::encode_raw_png(1, 1, {{1, 2, 3, 255}}, {.color_type = 6, .bit_depth = 8}));
}

// As metadata_fuzz.cpp reads them: how the rest is meant, then pieces.
void add_metadata(const Folder& folder) {
  const auto piece = [](char kind, const std::string& content) {
    return std::string{kind, static_cast<char>(content.size())} + content;
  };
  const std::string big = text_of(test::make_exif(true, 6)), little = text_of(test::make_exif(false, 3));
  const std::string iptc = "8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x74\0\x03me!"s, xmp = "<x:xmpmeta/>";
  std::string profile(132, '\0');
  profile[3] = static_cast<char>(profile.size());
  profile.replace(16, 8, "RGB XYZ ").replace(36, 4, "acsp");
  folder.put("jpeg", "\0"s + piece(0, big) + piece(1, xmp) + piece(3, "\x01\x01"s + profile) + piece(4, iptc) +
                         piece(6, "seen\xe9") + piece(7, "restore INPUT\n") + piece(8, "\x01\0\x48\0\x48\0\0"s));
  folder.put("jpeg_parts", "\x04"s + piece(0, big.substr(0, 20)) + piece(0, big.substr(20)) +
                               piece(4, iptc.substr(0, 9)) + piece(4, iptc.substr(9)) + piece(2, xmp) +
                               piece(6, "hourglass\n\xff"));
  folder.put("png", "\x01"s + piece(0, little) + piece(1, "Comment\0seen"s) + piece(2, "Title\0long"s) +
                        piece(3, "XML:com.adobe.xmp\0\0\0\0\0"s + xmp) + piece(4, "ICC profile\0"s + profile) +
                        piece(5, "\0\0\x0b\xb8\0\0\x0b\xb8\x01"s));
  folder.put("png_iptc", "\x05"s + piece(1, "Raw profile type iptc\0\niptc\n      12\n3842494d040400000000"s));
  folder.put("boxes", "\x02"s + piece(0, "\0\0\0\0"s + big) + piece(1, xmp) +
                          piece(1,
                                "<x xmlns:hourglass=\"urn:hourglass:1\"><rdf:li rdf:parseType=\"Resource\"><hourglass:"
                                "keyword>a&amp;b</hourglass:keyword><hourglass:text>c&lt;</hourglass:text></rdf:li>"));
  folder.put("box_whole", "\x06"s + piece(4, "\0\0\0\x0cxml <x/>"s));
  folder.put("box_compressed", "\x02"s + piece(2, "xml \x0b\x02\x80<x/>a\x03"s));
  folder.put("blocks", "\x03"s + std::string{static_cast<char>(big.size()), static_cast<char>(little.size())} + big +
                           little + profile);
}

void add_json(const Folder& folder) {
  const cli::Json object{{"input", "a/b.jpg"}, {"output", "out/b.png"}, {"status", "done"}, {"seconds", 1.25}};
  const cli::Json failure{{"input", "a"}, {"status", "failed"}, {"error", "cannot be read"}};
  folder.put("manifest", object.text() + "\n" + failure.text() + "\n" + object.text().substr(0, 20));
  folder.put("reference", object.text(2));
  folder.put("numbers", "[0,-1,-0.0,1e-320,0.1,18446744073709551615,-9223372036854775808,1E3,true,false,null,{},[]]"s);
  folder.put("texts", R"(["\"\\\/\b\f\n\r\t","\u00e9\ud83d\ude00","é",""])"s);
  folder.put("deep", std::string(64, '[') + std::string(64, ']'));
  ReportPage page;
  page.summary = object.text();
  const std::string html = to_html(page);
  folder.put("summary", html.substr(0, html.find("</script>") + 9));
}

void add_jxls(const Folder& folder) {
  const Image gray = test::make_picture(7, 5, 1), color = test::make_picture(5, 4, 3);
  Metadata metadata;
  metadata.exif = test::make_exif(true, 6);
  metadata.text = {{"Comment", "seen"}, {kXmpKeyword, "<x:xmpmeta/>"}};
  for (const int depth : {8, 16}) {
    folder.put("gray_" + std::to_string(depth), encode_jxl(gray, {.bit_depth = depth}));
    folder.put("color_" + std::to_string(depth), encode_jxl(color, {.bit_depth = depth, .metadata = &metadata}));
  }
  // What others write: a profile in the picture's header, and boxes with compressed content, of all kinds.
  const Bytes wide = test::encode_foreign_jxl(5, 4, {.wide_gamut = true});
  folder.put("wide_gamut", wide);
  Bytes exif(4);
  exif.insert(exif.end(), metadata.exif.begin(), metadata.exif.end());
  const std::string xmp = metadata.text[1].second;
  folder.put("compressed_boxes", test::encode_foreign_jxl(4, 3,
                                                          {.boxes = {{"Exif", exif},
                                                                     {"xml ", Bytes(xmp.begin(), xmp.end())},
                                                                     {"colr", decode_jxl(wide).metadata.icc_profile},
                                                                     {"jumb", Bytes(20)}}}));
  folder.put("alpha", test::encode_foreign_jxl(3, 4, {.channels = 4}));
}

void add_arrays(const Folder& folder) {
  folder.put("f32", encode_npy({.shape = {2, 3}, .values = {1, -2, 0.5F, 1e-40F, 0, 9}}));
  const std::string start = "\x93NUMPY"s;
  const auto with_header = [&](const std::string& version, const std::string& header, const std::string& data) {
    const std::string length{static_cast<char>(header.size()), '\0'};
    return start + version + length + (version[0] == 2 ? "\0\0"s : ""s) + header + data;
  };
  folder.put("f64",
             with_header("\x01\0"s, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", std::string(16, 1)));
  folder.put("u8", with_header("\x02\0"s, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2), }\n", "ab"));
  folder.put("scalar",
             with_header("\x01\0"s, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", "\0\0\0\0"s));
}

void add_checkpoints(const Folder& folder) {
  Archive values;
  values.put("a", int64_t{1});
  values.put("b", 0.5);
  values.put("c", "text"s);
  values.put("d", std::vector<float>{1, 2});
  values.put("e", std::vector<double>{3});
  folder.put("values", values.encode());
  folder.put("empty", Archive().encode());
  for (const int rounds : {1, 4, 7}) {  // the last one in the second run
    fuzz::TinyFit fit;
    for (int i = 0; i < rounds; ++i) fit.restoration.round();
    Archive state;
    fit.restoration.save(state);
    RunLog log;
    log.runs.resize(1 + static_cast<std::size_t>(rounds) / fuzz::TinyFit::kIterations);
    for (RunCourse& course : log.runs) {
      course = {.iteration = {1, 2}, .loss = {0.5, 0.25}, .degraded = {20, 21}, .original = {19, 20}, .kept = 2};
    }
    Archive part;
    log.save(part);
    state.put("log", part);
    folder.put("fit_" + std::to_string(rounds), state.encode());
  }
}

void add_degradations(const Folder& folder) {
  const auto put = [&](const std::string& name, int64_t channels, const auto& make) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId image = b.input("image", {DType::f32, Shape{1, channels, fuzz::kSide, fuzz::kSide}});
    graph.outputs = {make(b, image)};
    for (const bool open : {false, true}) {
      folder.put(name + (open ? "_open" : "_fixed"), export_onnx(graph, {.dynamic_size = open}));
    }
  };
  put("pool", 1, [](GraphBuilder& b, ValueId image) {
    return b.add("AveragePool", {image}, {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}});
  });
  put("blur", 3, [](GraphBuilder& b, ValueId image) {
    const ValueId filter = b.constant({DType::f32, Shape{3, 1, 3, 1}, std::vector<double>(9, 1.0 / 3)}, "filter");
    const ValueId padded = b.add("Conv", {image, filter}, {{"group", int64_t{3}}, {"pads", Dims{1, 0, 1, 0}}});
    return b.add("Sqrt", {b.add("Abs", {padded})});
  });
  put("sums", 1, [](GraphBuilder& b, ValueId image) {
    const ValueId rows = b.add("ReduceSum", {image}, {{"keepdims", int64_t{0}}, {"axes", Dims{3}}});
    return b.add("Mul", {rows, b.constant(HostTensor::scalar(DType::f32, 0.25), "quarter")});
  });
}

// A degradation is a network too; one of each topology besides.
void add_networks(const Folder& folder) {
  add_degradations(folder);
  const auto put = [&](const std::string& name, const Graph& graph) { folder.put(name, export_onnx(graph)); };
  put("skip", fuzz::tiny_network(fuzz::kSide, fuzz::kSide));
  put("unet", make_unet({.channels = {2, 2}, .input_depth = 2}, fuzz::kSide, fuzz::kSide));
  put("resnet", make_resnet({.channels = 2, .blocks = 1, .input_depth = 2}, fuzz::kSide, fuzz::kSide));
  put("deep_decoder", make_deep_decoder({.channels = {2, 2}, .input_depth = 2}, fuzz::kSide, fuzz::kSide));
}

// The words that commands, options and their values are called by.
void add_words(const cli::Command& command, std::set<std::string>& words) {
  words.insert(command.name);
  for (const cli::Option& option : command.options) {
    words.insert(cli::is_positional(option) ? "photo.jpg" : "--" + cli::name_of(option));
    for (const cli::Check& check : option.checks) words.insert(check.choices.begin(), check.choices.end());
  }
  for (const cli::Command& one : command.commands) add_words(one, words);
}

// Of each command: its help, and all of its options with a value.
void add_command_lines(const Folder& folder, const cli::Command& program) {
  for (const cli::CommandPath& path : cli::all_commands(program)) {
    std::string name, line;
    for (const cli::Command* one : std::span(path).subspan(1)) {
      name += (name.empty() ? "" : "_") + one->name;
      line += (line.empty() ? "" : "\n") + one->name;
    }
    folder.put(name + "_help", line + "\n--help");
    for (const cli::Option& option : path.back()->options) {
      std::string value = cli::default_text(option);
      if (value.empty()) value = "1";
      for (const cli::Check& check : option.checks) {
        if (!check.choices.empty()) value = check.choices.front();
      }
      if (!cli::is_positional(option)) line += "\n--" + cli::name_of(option);
      if (!cli::is_flag(option)) line += "\n" + value;
    }
    folder.put(name + "_options", line);
  }
  folder.put("restore", "restore\nphoto.jpg\n-o\nout.png\n--method\nfit\n--iterations\n10\n--memory-limit\n1.5G\n-vv"s);
  folder.put("size", "640x480"s);
  folder.put("settings", "command=restore\nmodel=small\niterations=10"s);
  folder.put("line", "hourglass restore INPUT --model small --no-cells"s);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  const fs::path root = argv[1];
  add_jpegs({root / "jpeg"});
  add_jpegs({root / "restore"});
  add_pngs({root / "png"});
  add_jxls({root / "jxl"});
  add_arrays({root / "npy"});
  add_metadata({root / "metadata"});
  add_json({root / "json"});
  add_checkpoints({root / "checkpoint"});
  add_degradations({root / "degradation"});
  add_networks({root / "onnx_import"});
  const cli::Command program = cli::program();
  add_command_lines({root / "command_line"}, program);
  std::set<std::string> words;
  add_words(program, words);
  std::string dictionary;
  for (const std::string& word : words) dictionary += '"' + word + "\"\n";
  Folder{root}.put("command_line.dict", dictionary);
  return 0;
}
