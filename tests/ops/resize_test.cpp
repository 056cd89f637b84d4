// Resize's coordinates, against values worked out elsewhere: kernels and reference share the rule that the harness then
// can't judge. And what Resize refuses, and how older opsets' forms reach it.
#include <doctest/doctest.h>

#include <numeric>

#include "graph/error.h"
#include "ops/table.h"
#include "tests/ops/case.h"

namespace hourglass::test {
namespace {

const OpDef& resize() { return *op_table().find("Resize"); }

// A row-major [1,1,H,W] resized by the reference.
HostTensor eval(const HostTensor& src, const std::string& attrs) {
  return evaluate_reference(resize(), parse_attrs(resize(), attrs), {&src})[0];
}

HostTensor row(std::vector<double> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {DType::f32, Shape{1, 1, 1, count}, std::move(values)};
}

std::string refusal(const Shape& src, const std::string& attrs) {
  try {
    eval(HostTensor(DType::f32, src), attrs);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct Normalized {
  std::string op;
  Attrs attrs;
  std::vector<ValueId> inputs;
};

Normalized normalize(std::string op, int opset, std::size_t inputs, Attrs attrs) {
  Graph graph;
  GraphBuilder b(graph, op_table());
  Normalized node{.op = std::move(op), .attrs = std::move(attrs), .inputs = {}};
  for (std::size_t i = 0; i < inputs; ++i) node.inputs.push_back(b.input("x", {DType::f32, Shape{4}}));
  std::vector<std::string> outputs{"y"}, notes;
  const OpDef* def = op_table().find(node.op);
  NormalizeContext ctx{.opset = opset,
                       .op = node.op,
                       .attrs = node.attrs,
                       .inputs = node.inputs,
                       .outputs = outputs,
                       .graph = graph,
                       .notes = notes};
  def->normalize(ctx);
  return node;
}

}  // namespace

TEST_CASE("Resize of 1 2 4 8") {
  struct Case {
    const char* attrs;
    std::vector<double> expected;
  };
  // From PyTorch 1.13's interpolate (nearest = asymmetric and floor, nearest-exact = half_pixel and round_prefer_ceil;
  // bicubic), the others by hand.
  const std::vector<Case> cases = {
      {"mode=linear scales=[1,1,1,2]", {1, 1.25, 1.75, 2.5, 3.5, 5, 7, 8}},
      {"mode=linear sizes=[1,1,1,8]", {1, 1.25, 1.75, 2.5, 3.5, 5, 7, 8}},
      {"mode=linear sizes=[1,1,1,6]", {1, 1.5, 2.3333333, 3.6666667, 6, 8}},
      {"mode=linear sizes=[1,1,1,3]", {1.1666667, 3, 7.3333333}},
      {"mode=linear sizes=[1,1,1,1]", {3}},
      {"mode=linear sizes=[1,1,1,1] coordinate_transformation_mode=pytorch_half_pixel", {1}},
      // The given scale, not 6/4 and 2/4, makes the coordinates.
      {"mode=linear scales=[1,1,1,1.7]", {1, 1.3823529, 1.9705882, 3.1176471, 4.5882353, 6.9411765}},
      {"mode=linear scales=[1,1,1,0.6]", {1.3333333, 4}},
      {"mode=linear scales=[1,1,1,1.7] coordinate_transformation_mode=half_pixel_symmetric",
       {1.0294118, 1.6176471, 2.4117647, 3.5882353, 5.5294118, 7.8823529}},
      {"mode=linear sizes=[1,1,1,8] coordinate_transformation_mode=align_corners",
       {1, 1.4285714, 1.8571429, 2.5714286, 3.4285714, 4.5714286, 6.2857143, 8}},
      {"mode=linear sizes=[1,1,1,3] coordinate_transformation_mode=align_corners", {1, 3, 8}},
      {"mode=linear sizes=[1,1,1,1] coordinate_transformation_mode=align_corners", {1}},
      {"mode=linear scales=[1,1,1,2] coordinate_transformation_mode=asymmetric", {1, 1.5, 2, 3, 4, 6, 8, 8}},
      {"mode=cubic scales=[1,1,1,2]",
       {0.8945312, 1.15625, 1.5625, 2.4179688, 3.1601562, 5.1171875, 7.1640625, 8.421875}},
      {"mode=cubic sizes=[1,1,1,3]", {1.1087963, 2.71875, 7.4606481}},
      {"mode=cubic sizes=[1,1,1,3] cubic_coeff_a=0", {1.0740741, 3, 7.7037037}},
      {"sizes=[1,1,1,6] nearest_mode=floor coordinate_transformation_mode=asymmetric", {1, 1, 2, 4, 4, 8}},
      {"sizes=[1,1,1,6] nearest_mode=ceil coordinate_transformation_mode=asymmetric", {1, 2, 4, 4, 8, 8}},
      {"sizes=[1,1,1,6] nearest_mode=round_prefer_ceil", {1, 2, 2, 4, 8, 8}},
      {"sizes=[1,1,1,2] nearest_mode=round_prefer_ceil", {2, 8}},
      {"sizes=[1,1,1,2] nearest_mode=round_prefer_floor", {1, 4}},
      {"sizes=[1,1,1,3] coordinate_transformation_mode=tf_half_pixel_for_nn nearest_mode=floor", {1, 4, 8}},
      {"axes=[3] scales=[0.5] nearest_mode=round_prefer_ceil", {2, 8}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.attrs);
    const HostTensor got = eval(row({1, 2, 4, 8}), c.attrs);
    REQUIRE(got.values.size() == c.expected.size());
    for (std::size_t i = 0; i < c.expected.size(); ++i) {
      CAPTURE(i);
      CHECK(std::abs(got.values[i] - c.expected[i]) < 1e-6);
    }
  }
  // x = -0.25: the taps at 0 and 1, 0.87890625 and -0.10546875, scaled to a sum of 1.
  const HostTensor cubic = eval(row({1, 2, 4, 8}), "mode=cubic scales=[1,1,1,2] exclude_outside=1");
  CHECK(std::abs(cubic.values[0] - 0.66796875 / 0.7734375) < 1e-9);
}

TEST_CASE("Resize of a square by 2") {
  const HostTensor src(DType::f32, Shape{1, 1, 2, 2}, {1, 2, 3, 4});
  const HostTensor got = eval(src, "mode=linear scales=[1,1,2,2]");
  const std::vector<double> expected = {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4};
  CHECK(got.values == expected);
}

TEST_CASE("Resize takes scales as the f32 numbers they were") {
  const auto as_f32 = [](float scale) { return fmt::format("scales=[1,1,1,{:.17g}]", static_cast<double>(scale)); };
  CHECK(eval(row(std::vector<double>(10, 1)), as_f32(0.7F)).shape == Shape{1, 1, 1, 7});
  // 1 / 0.33333334f is 2.9999999: still pixel 3.
  const HostTensor third =
      eval(row({0, 1, 2, 3, 4, 5}), as_f32(1.0F / 3) + " nearest_mode=floor coordinate_transformation_mode=asymmetric");
  CHECK(third.values == std::vector<double>{0, 3});
}

TEST_CASE("Resize keeps the aspect ratio when told to") {
  const HostTensor src(DType::f32, Shape{1, 1, 4, 6});
  CHECK(eval(src, "axes=[2,3] sizes=[8,9] keep_aspect_ratio_policy=not_larger").shape == Shape{1, 1, 6, 9});
  CHECK(eval(src, "axes=[2,3] sizes=[8,9] keep_aspect_ratio_policy=not_smaller").shape == Shape{1, 1, 8, 12});
}

// The numbers are those of ONNX's own test of this.
TEST_CASE("antialias stretches the kernel where an axis shrinks") {
  HostTensor src(DType::f32, Shape{1, 1, 4, 4});
  std::iota(src.values.begin(), src.values.end(), 1);
  const auto check = [](const HostTensor& got, const std::vector<double>& expected) {
    REQUIRE(got.values.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(got.values[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  };
  check(eval(src, "mode=linear scales=[1,1,0.6,0.6] antialias=1"), {2.875, 4.5, 9.375, 11});
  check(eval(src, "mode=cubic scales=[1,1,0.6,0.6] antialias=1"), {2.5180721, 4.2858863, 9.589329, 11.357142});
  CHECK(eval(src, "mode=linear scales=[1,1,2,2] antialias=1").values ==
        eval(src, "mode=linear scales=[1,1,2,2]").values);
}

TEST_CASE("Resize says what is wrong") {
  CHECK(refusal({1, 3, 4, 4}, "scales=[1,1,2,2]").empty());
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[1,2,2,2]"), "axis 1 is resized from 3 to 6; only H and W"));
  CHECK(contains(refusal({2, 3, 4, 4}, "sizes=[1,3,2,2]"), "axis 0 is resized from 2 to 1; only H and W"));
  CHECK(contains(refusal({1, 3, 4}, "scales=[1,1,2]"), "src has shape 1x3x4, expected [N,C,H,W]"));
  CHECK(contains(refusal({1, 3, 4, 4}, ""), "0 scales and 0 sizes given"));
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[1,1,2,2] sizes=[1,3,8,8]"), "4 scales and 4 sizes given"));
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[2,2]"), "2 scales given, expected 4"));
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[1,1,0.2,1]"), "axis 2 is resized from 4 to 0"));
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[1,1,-1,1]"), "scale -1 is out of range"));
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[1,1,2,2] mode=area"), "mode 'area' is not supported"));
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[1,1,2,2] coordinate_transformation_mode=tf_crop_and_resize"),
                 "roi has 0 entries, expected 4 starts and as many ends"));
  CHECK(contains(refusal({1, 3, 4, 4}, "scales=[1,1,2,2] coordinate_transformation_mode=corners"),
                 "'corners' is not supported; expected one of half_pixel"));
}

TEST_CASE("older forms of Resize") {
  const Normalized ten = normalize("Resize", 10, 2, {{"mode", std::string("linear")}});
  CHECK(ten.op == "Resize");
  CHECK(ten.attrs.string("coordinate_transformation_mode") == "asymmetric");
  CHECK(ten.attrs.string("nearest_mode") == "floor");
  REQUIRE(ten.inputs.size() == 3);
  CHECK_FALSE(ten.inputs[1].valid());  // roi
  CHECK(ten.inputs[2].valid());        // scales

  const Normalized nine = normalize("Upsample", 9, 2, {{"mode", std::string("nearest")}});
  CHECK(nine.op == "Resize");
  CHECK(nine.attrs.string("coordinate_transformation_mode") == "asymmetric");
  CHECK(nine.inputs.size() == 3);

  const Normalized seven = normalize("Upsample", 7, 1, {{"scales", Floats{1, 1, 2, 2}}});
  CHECK(seven.op == "Resize");
  CHECK(seven.attrs.floats("scales") == Floats{1, 1, 2, 2});
  CHECK(seven.inputs.size() == 1);

  const Normalized one =
      normalize("Upsample", 1, 1, {{"height_scale", 2.0}, {"width_scale", 3.0}, {"mode", std::string("bilinear")}});
  CHECK(one.attrs.floats("scales") == Floats{1, 1, 2, 3});
  CHECK(one.attrs.string("mode") == "linear");
  CHECK_FALSE(one.attrs.has("height_scale"));

  const Normalized thirteen = normalize("Resize", 13, 4, {});
  CHECK_FALSE(thirteen.attrs.has("coordinate_transformation_mode"));  // the default is right
  CHECK(thirteen.inputs.size() == 4);
}

}  // namespace hourglass::test
