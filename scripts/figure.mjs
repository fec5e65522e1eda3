/**
 * @file Draws docs/figure.svg: the plane of all queries, coloured by the key that gets the largest weight, once per
 * similarity and for the same ten keys. It shows in one look what "belongs together" under each of them.
 */
import { deflateSync } from "node:zlib";
import { writeFileSync } from "node:fs";
import { attention, full, parseSelector, random, tensor } from "../dist/index.js";

const selectors = ["dot", "l2", "l1", "cosine", "poincare", "lorentz", "tropical", "complex:part=im"];
const titles = [
  "dot product",
  "Euclidean (l2)",
  "Manhattan (l1)",
  "cosine",
  "Poincaré ball",
  "Lorentz",
  "tropical",
  "symplectic (Im q·k̄)",
];
/** Okabe & Ito's colour-blind-safe palette with two tints. */
const colours = [
  "#e69f00",
  "#56b4e9",
  "#009e73",
  "#f0e442",
  "#0072b2",
  "#d55e00",
  "#cc79a7",
  "#7f7f7f",
  "#8f6f3f",
  "#a6cee3",
];
const [cells, panel, margin, extent, columns] = [160, 210, 14, 2.4, 4];

const draws = random("figure", 5);
const keys = tensor(draws.normals(2 * colours.length, 1), [1, 1, colours.length, 2]);
const grid = new Float32Array(2 * cells * cells);
for (let cell = 0; cell < cells * cells; cell++) {
  grid[2 * cell] = extent * ((2 * (cell % cells) + 1) / cells - 1);
  grid[2 * cell + 1] = -extent * ((2 * Math.floor(cell / cells) + 1) / cells - 1);
}
const queries = tensor(grid, [1, 1, cells * cells, 2]);

const panels = await Promise.all(
  selectors.map(async (selector, index) => {
    const attend = attention({ similarity: parseSelector(selector).similarity, pattern: full() });
    const { weights } = await attend(queries, keys, keys, { return: ["weights"], scale: 3 });
    const x = margin + (index % columns) * (panel + margin);
    const y = margin + Math.floor(index / columns) * (panel + margin + 22);
    return panelSvg(titles[index], png(pixels(weights.data)), x, y);
  }),
);
const width = columns * (panel + margin) + margin;
const height = Math.ceil(selectors.length / columns) * (panel + margin + 22) + margin;
writeFileSync(
  new URL("../docs/figure.svg", import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="14">
<title>The same ten keys under eight similarities</title>
<desc>Each panel is the plane of all queries; a point has the colour of the key that attends to it most, darker where the choice is surer.</desc>
<rect width="100%" height="100%" fill="#fff"/>
${panels.join("\n")}
</svg>
`,
);

/** RGB of every cell: the winning key's colour, towards white where its weight is small. */
function pixels(weights) {
  const rgb = new Uint8Array(3 * cells * cells);
  for (let cell = 0; cell < cells * cells; cell++) {
    const row = weights.subarray(cell * colours.length, (cell + 1) * colours.length);
    const winner = row.indexOf(Math.max(...row));
    const sureness = 0.35 + 0.65 * row[winner];
    for (let channel = 0; channel < 3; channel++) {
      const value = Number.parseInt(colours[winner].slice(1 + 2 * channel, 3 + 2 * channel), 16);
      rgb[3 * cell + channel] = Math.round(255 - sureness * (255 - value));
    }
  }
  return rgb;
}

function panelSvg(title, image, x, y) {
  const dots = colours.map((colour, key) => {
    const [left, down] = [keys.data[2 * key], -keys.data[2 * key + 1]].map(
      (place) => (panel / 2) * (1 + place / extent),
    );
    return `<circle cx="${(x + left).toFixed(1)}" cy="${(y + 20 + down).toFixed(1)}" r="4.5" fill="${colour}" stroke="#000"/>`;
  });
  return `<text x="${x}" y="${y + 13}">${title}</text>
<image x="${x}" y="${y + 20}" width="${panel}" height="${panel}" href="data:image/png;base64,${image.toString("base64")}"/>
${dots.join("")}`;
}

/** A cells × cells 8-bit RGB image as a PNG file. */
function png(rgb) {
  const rows = Buffer.concat(
    Array.from({ length: cells }, (_, row) =>
      Buffer.concat([Buffer.of(0), rgb.subarray(3 * cells * row, 3 * cells * (row + 1))]),
    ),
  );
  const header = Buffer.alloc(13);
  header.writeUInt32BE(cells, 0);
  header.writeUInt32BE(cells, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

/** CRC-32 of ISO 3309; node:zlib has it only from Node 22.2. */
function crc32(bytes) {
  let remainder = 0xffffffff;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
  }
  return (remainder ^ 0xffffffff) >>> 0;
}
