"""Reference of the face room in numpy: python make.py DETECTOR.onnx SCENE.mjpeg

Writes picture.png, crop-*.png, heads.bin and expected.toml beside itself. Bilinear sampling is in float64, so
it defines what the fixed-point kernels approximate; it is itself checked against OpenCV.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime

HERE = Path(__file__).parent
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
SIDE = 112
STRIDES = (8, 16, 32)
LEAST_SCORE, MOST_OVERLAP, MOST_WITHIN, BLEND = 0.5, 0.35, 0.7, 0.8


def picture(width: int = 240, height: int = 200) -> np.ndarray:
    """A smooth coloured pattern, [height, width, 3] u8 RGB."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    waves = [np.sin(x / 7 + y / 19), np.cos(x / 23 - y / 5), np.sin((x + y) / 11)]
    return np.stack([np.clip(128 + 90 * w + x / 6 - y / 9, 0, 255) for w in waves], -1).astype(np.uint8)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Umeyama's least squares without reflection: [2, 3] that takes source to target."""
    p, q = source - source.mean(0), target - target.mean(0)
    u, _, vt = np.linalg.svd(q.T @ p)
    sign = np.diag([1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = np.trace(rotation.T @ q.T @ p) / (p**2).sum()
    shift = target.mean(0) - scale * rotation @ source.mean(0)
    return np.c_[scale * rotation, shift]


def inverse(map_: np.ndarray) -> np.ndarray:
    return np.linalg.inv(np.r_[map_, [[0, 0, 1]]])[:2]


def halved(pixels: np.ndarray) -> np.ndarray:
    h, w = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    blocks = pixels[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).astype(int).sum((1, 3))
    return ((blocks + 2) // 4).astype(np.uint8)


def sampled(pixels: np.ndarray, map_: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draws through map_ (target to source), bilinear, black outside, [height, width, 3] float."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    sx, sy = (map_ @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])).reshape(2, height, width)
    padded = np.pad(pixels.astype(float), ((2, 2), (2, 2), (0, 0)))
    sx, sy = np.clip(sx, -2, pixels.shape[1]) + 2, np.clip(sy, -2, pixels.shape[0]) + 2
    left, top = np.floor(sx).astype(int), np.floor(sy).astype(int)
    fx, fy = (sx - left)[..., None], (sy - top)[..., None]
    upper = padded[top, left] * (1 - fx) + padded[top, left + 1] * fx
    lower = padded[top + 1, left] * (1 - fx) + padded[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


def aligned(pixels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The crop: from the halving at which it shrinks by less than two."""
    map_ = inverse(similarity(landmarks, TEMPLATE))
    scale = np.hypot(map_[0, 0], map_[1, 0])
    while scale >= 2:
        pixels, scale = halved(pixels), scale / 2
        map_ = np.c_[map_[:, :2] / 2, (map_[:, 2:] + 0.5) / 2 - 0.5]
    crop = sampled(pixels, map_, SIDE, SIDE)
    opencv = cv2.warpAffine(pixels, map_, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    assert np.abs(crop - opencv).mean() < 1.0, "OpenCV draws another crop"
    return np.round(crop).astype(np.uint8)


def landmarks_at(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    """The template turned and moved, a little out of shape."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wobble = np.array([[1.5, -0.5], [-1.0, 0.8], [2.0, 1.0], [0.3, -1.2], [-0.7, 0.4]])
    return (TEMPLATE - 56 + wobble) @ turn.T * scale + [x, y]


def frame_of(path: Path, index: int) -> np.ndarray:
    video = cv2.VideoCapture(str(path))
    for _ in range(index):
        video.read()
    return video.read()[1][:, :, ::-1]


def heads(model: Path, pixels: np.ndarray) -> list[tuple[str, np.ndarray, float, int]]:
    """The detector's int8 outputs in [rows, columns, channels], with scale and zero point."""
    graph = onnx.load(model).graph
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    maker = {n.output[0]: n for n in graph.node}
    session = onnxruntime.InferenceSession(model)
    found = []
    for value, output in zip(session.run(None, {"pixels": pixels[None]}), graph.output, strict=True):
        _, scale, zero = maker[output.name].input
        scale, zero = constants[scale].item(), constants[zero].item()
        ints = np.round(value[0] / scale + zero).astype(np.int8).transpose(1, 2, 0)
        found.append((output.name, np.ascontiguousarray(ints), scale, zero))
    return found


def area(b: np.ndarray) -> float:
    return max(0.0, b[2] - b[0]) * max(0.0, b[3] - b[1])


def overlaps(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Intersection over union, and over the smaller box."""
    shared = area(np.r_[np.maximum(a[:2], b[:2]), np.minimum(a[2:4], b[2:4])])
    return shared / (area(a) + area(b) - shared), shared / min(area(a), area(b))


def detections(outputs: list[tuple[str, np.ndarray, float, int]]) -> list[np.ndarray]:
    """Rows of 4 box edges, 10 landmark coordinates and a score."""
    value = {name: (ints.astype(float) - zero) * scale for name, ints, scale, zero in outputs}
    rows = []
    for stride in STRIDES:
        score = 1 / (1 + np.exp(-value[f"score_{stride}"][..., 0]))
        for r, c in zip(*np.nonzero(score >= LEAST_SCORE), strict=True):
            at = (np.array([c, r]) + 0.5) * stride
            box, marks = value[f"box_{stride}"][r, c] * stride, value[f"landmarks_{stride}"][r, c] * stride
            rows.append(np.r_[at - box[:2], at + box[2:], np.tile(at, 5) + marks, score[r, c]])
    rows.sort(key=lambda row: -row[14])
    kept: list[np.ndarray] = []
    for row in rows:
        apart = [o <= MOST_OVERLAP and w <= MOST_WITHIN for o, w in (overlaps(k, row) for k in kept)]
        if all(apart):
            kept.append(row)
    for i, face in enumerate(kept):
        near = np.array([row for row in rows if overlaps(row, face)[0] >= BLEND])
        kept[i] = np.r_[(near[:, :14] * near[:, 14:]).sum(0) / near[:, 14].sum(), face[14]]
    return kept


def template(output: np.ndarray, zero: int) -> np.ndarray:
    value = output.astype(float) - zero
    scaled = 320 * value / np.sqrt((value**2).sum())
    return np.clip(np.sign(scaled) * np.floor(np.abs(scaled) + 0.5), -127, 127).astype(int)


def numbers(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{v:.4f}" for v in np.asarray(values).ravel()) + "]"


def main(model: Path, scene: Path) -> None:
    pixels = picture()
    cv2.imwrite(str(HERE / "picture.png"), pixels[:, :, ::-1])
    lines = ["# Made by make.py beside it.", ""]
    faces = [(0.6, 12, 120, 100), (1.3, -25, 110, 95), (2.6, 5, 118, 101), (0.9, 160, 30, 40)]
    for i, place in enumerate(faces):
        marks = landmarks_at(*place)
        cv2.imwrite(str(HERE / f"crop-{i}.png"), aligned(pixels, marks)[:, :, ::-1])
        lines += ["[[crop]]", f'file = "crop-{i}.png"', f"landmarks = {numbers(marks)}", ""]
    frame = frame_of(scene, 60)
    small = np.full((120, 160, 3), 128, np.uint8)
    small[:] = cv2.resize(frame, (160, 120), interpolation=cv2.INTER_AREA)
    outputs = heads(model, small)
    (HERE / "heads.bin").write_bytes(b"".join(ints.tobytes() for _, ints, _, _ in outputs))
    for name, ints, scale, zero in outputs:
        lines += ["[[head]]", f'name = "{name}"', f"shape = {list(ints.shape)}", f"scale = {scale!r}"]
        lines += [f"zero_point = {zero}", ""]
    for row in detections(outputs):
        lines += ["[[face]]", f"bounds = {numbers(row[:4])}", f"landmarks = {numbers(row[4:14])}"]
        lines += [f"score = {row[14]:.6f}", ""]
    output = np.random.default_rng(1).integers(-90, 70, 128).astype(np.int8)
    lines += ["[template]", f"output = {output.tolist()}", "zero_point = -7"]
    lines += [f"embedding = {template(output, -7).tolist()}", ""]
    (HERE / "expected.toml").write_text("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
