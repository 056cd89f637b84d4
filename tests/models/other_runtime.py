#!/usr/bin/python3
"""Runs the networks that write_topologies or write_fitted wrote in another runtime, and compares. A fitted network brings
its z, which lies beside it as an array too (NAME.npy) and is given to it; the others are given that of their golden file.

That is ONNX Runtime where it is installed, else onnx.reference, which comes with ONNX from 1.13 on and is slow. ONNX Runtime
computes no batch statistics; those of one image are an InstanceNormalization, which it gets instead. Neither: exit code
77, which ctest counts as skipped.

usage: other_runtime.py FOLDER
"""
import pathlib
import sys

try:
    import numpy as np
    import onnx
    from onnx import numpy_helper
except ImportError as error:
    print(error)
    sys.exit(77)


def with_reference(model):
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    return lambda feed: evaluator.run(None, feed)[0]


def with_onnxruntime(model):
    import onnxruntime

    model = onnx.ModelProto.FromString(model.SerializeToString())
    for node in model.graph.node:
        if any(a.name == "training_mode" and a.i == 1 for a in node.attribute):
            node.op_type = "InstanceNormalization"
            epsilon = [attribute for attribute in node.attribute if attribute.name == "epsilon"]
            del node.input[3:], node.output[1:], node.attribute[:]
            node.attribute.extend(epsilon)
    onnxruntime.set_default_logger_severity(3)  # it warns of the running statistics that are left over
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)[0]


def main():
    runs, failed = 0, 0
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.golden.onnx")):
        golden = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}
        model = onnx.load(str(path).replace(".golden", ""))
        onnx.checker.check_model(model, full_check=True)
        try:
            run = with_onnxruntime(model)
        except ImportError:
            try:
                run = with_reference(model)
            except ImportError:
                print("neither onnxruntime nor onnx.reference is installed")
                sys.exit(77)
        name, fitted = model.graph.input[0].name, "z" not in golden
        z = np.load(str(path).replace(".golden.onnx", ".npy")) if fitted else golden["z"]
        if fitted:
            own = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == name)
            assert z.dtype == np.float32 and np.array_equal(z, own), f"{path.name}: its z and the array differ"
        image = run({name: z})
        # In double or float here, in float there, through a dozen layers: the topologies differ by 1e-4 at most, fitted
        # networks by 60 dB.
        off = np.abs(image - golden["image"])
        psnr = -10 * np.log10((off**2).mean())
        print(f"{path.name.split('.')[0]:32} off by {off.max():.1e}, {psnr:.0f} dB")
        runs += 1
        failed += not (psnr > 60 if fitted else off.max() <= 1e-4)
    print(f"{runs} networks, {failed} differ")
    sys.exit(failed != 0 or runs == 0)


if __name__ == "__main__":
    main()
