"""Fixtures of the face room, by the reference in `model/facelatch_model`: python make.py MODELS SCENE.mjpeg

MODELS is the folder of the released networks, SCENE the bundled film. Writes picture.png, crop-*.png, frame-*.png, heads.bin
and expected.toml beside itself. Run it again whenever a released network changes.
"""

import hashlib
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "model"))
from facelatch_model import chain  # noqa: E402  (the package lies in the tree)
from facelatch_model.drawing import Layers, Similarity  # noqa: E402

LEAST_SCORE, MOST_OVERLAP, BLEND = 0.5, 0.35, 0.8
FRAMES = (20, 62, 218, 370)
"""Frames of the film: somebody who comes, somebody who stands, a photograph, two people."""


def picture(width: int = 240, height: int = 200) -> np.ndarray:
    """A smooth coloured pattern, [height, width, 3] u8 RGB."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    waves = [np.sin(x / 7 + y / 19), np.cos(x / 23 - y / 5), np.sin((x + y) / 11)]
    return np.stack([np.clip(128 + 90 * w + x / 6 - y / 9, 0, 255) for w in waves], -1).astype(np.uint8)


def landmarks_at(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    """The template turned and moved, a little out of shape."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wobble = np.array([[1.5, -0.5], [-1.0, 0.8], [2.0, 1.0], [0.3, -1.2], [-0.7, 0.4]])
    return (chain.TEMPLATE - 56 + wobble) @ turn.T * scale + [x, y]


def film(path: Path) -> list[np.ndarray]:
    """All frames, [height, width, 3] u8 RGB."""
    video, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = video.read()
        if not there:
            return frames
        frames.append(np.ascontiguousarray(frame[:, :, ::-1]))


def heads(path: Path, pixels: np.ndarray) -> list[tuple[str, np.ndarray, float, int]]:
    """The detector's int8 outputs in [rows, columns, channels], with scale and zero point."""
    graph = onnx.load(path).graph
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    maker = {n.output[0]: n for n in graph.node}
    session = onnxruntime.InferenceSession(path)
    found = []
    for value, output in zip(session.run(None, {"pixels": pixels[None]}), graph.output, strict=True):
        _, scale, zero = maker[output.name].input
        scale, zero = constants[scale].item(), constants[zero].item()
        ints = np.round(value[0] / scale + zero).astype(np.int8).transpose(1, 2, 0)
        found.append((output.name, np.ascontiguousarray(ints), scale, zero))
    return found


def detections(outputs: list[tuple[str, np.ndarray, float, int]]) -> list[np.ndarray]:
    """Rows of 4 box edges, 10 landmark coordinates and a score."""
    value = {name: (ints.astype(float) - zero) * scale for name, ints, scale, zero in outputs}
    rows = []
    for stride in (8, 16, 32):
        score = 1 / (1 + np.exp(-value[f"score_{stride}"][..., 0]))
        for r, c in zip(*np.nonzero(score >= LEAST_SCORE), strict=True):
            at = (np.array([c, r]) + 0.5) * stride
            box, marks = value[f"box_{stride}"][r, c] * stride, value[f"landmarks_{stride}"][r, c] * stride
            rows.append(np.r_[at - box[:2], at + box[2:], np.tile(at, 5) + marks, score[r, c]])
    return chain.suppress(rows, MOST_OVERLAP, BLEND)


def numbers(values: np.ndarray) -> str:
    """A TOML array."""
    return "[" + ", ".join(f"{v:.4f}" for v in np.asarray(values).ravel()) + "]"


def crop_lines() -> list[str]:
    """Aligned crops of the pattern."""
    pixels, lines = picture(), []
    cv2.imwrite(str(HERE / "picture.png"), pixels[:, :, ::-1])
    places = [(0.6, 12, 120, 100), (1.3, -25, 110, 95), (2.6, 5, 118, 101), (0.9, 160, 30, 40)]
    for i, place in enumerate(places):
        marks = landmarks_at(*place)
        back = Similarity.between(marks, chain.TEMPLATE).inverse()
        crop = Layers(pixels).through(back, chain.CROP, chain.CROP)
        cv2.imwrite(str(HERE / f"crop-{i}.png"), crop[:, :, ::-1])
        lines += ["[[crop]]", f'file = "crop-{i}.png"', f"landmarks = {numbers(marks)}", ""]
    return lines


def head_lines(models: Path, frame: np.ndarray) -> list[str]:
    """The detector's raw outputs for a frame, and what they decode to."""
    outputs = heads(models / "detector.onnx", cv2.resize(frame, (160, 120), interpolation=cv2.INTER_AREA))
    (HERE / "heads.bin").write_bytes(b"".join(ints.tobytes() for _, ints, _, _ in outputs))
    lines = []
    for name, ints, scale, zero in outputs:
        lines += ["[[head]]", f'name = "{name}"', f"shape = {list(ints.shape)}", f"scale = {scale!r}"]
        lines += [f"zero_point = {zero}", ""]
    for row in detections(outputs):
        lines += ["[[face]]", f"bounds = {numbers(row[:4])}", f"landmarks = {numbers(row[4:14])}"]
        lines += [f"score = {row[14]:.6f}", ""]
    return lines


def frame_lines(models: Path, frames: list[np.ndarray]) -> list[str]:
    """Whole frames through all networks."""
    whole, lines = chain.Chain(models), []
    for index in FRAMES:
        cv2.imwrite(str(HERE / f"frame-{index}.png"), frames[index][:, :, ::-1])
        layers = Layers(frames[index])
        lines += ["[[frame]]", f'file = "frame-{index}.png"', ""]
        for face in whole.faces(layers):
            crop = whole.crop(layers, face.landmarks)
            lines += ["[[frame.face]]", f"bounds = {numbers(face.box)}", f"landmarks = {numbers(face.landmarks)}"]
            lines += [f"score = {face.score:.6f}", f"disagreement = {face.disagreement:.6f}"]
            lines += [f"liveness_logit = {whole.liveness_logit(layers, face.box):.6f}"]
            lines += [f"embedding = {whole.template(crop).tolist()}", ""]
    return lines


def main(models: Path, scene: Path) -> None:
    """Writes all fixtures."""
    frames = film(scene)
    lines = ["# Made by make.py beside it.", "", "[models]"]
    for name in ("detector", "liveness", "embedder"):
        lines.append(f'{name} = "{hashlib.sha256((models / f"{name}.onnx").read_bytes()).hexdigest()}"')
    lines += ["", *crop_lines(), *head_lines(models, frames[62]), *frame_lines(models, frames)]
    output = np.random.default_rng(1).integers(-90, 70, 128).astype(np.int8)
    lines += ["[template]", f"output = {output.tolist()}", "zero_point = -7"]
    lines += [f"embedding = {chain.rounded(output.astype(float) + 7).tolist()}", ""]
    (HERE / "expected.toml").write_text("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
