/** @file Measurements in Prometheus' text format: counters, gauges and histograms of few labels. */

type Labels = Readonly<Record<string, string | number>>;

/** A family of measurements that prints itself. */
interface Family {
  print(): string;
}

/** Counts up. */
export interface Counter {
  add(labels: Labels, by?: number): void;
}

/** Counts values in ranges. */
export interface Histogram {
  observe(labels: Labels, value: number): void;
}

/** Measurements by name, printed in the order in which they were declared. */
export class Registry {
  readonly #families: Family[] = [];

  counter(name: string, help: string): Counter {
    const values = new Map<string, number>();
    this.#families.push({
      print: () =>
        head(name, help, "counter") +
        [...values].map(([labels, value]) => line(name, labels, value)).join(""),
    });
    return {
      add(labels, by = 1) {
        const key = written(labels);
        values.set(key, (values.get(key) ?? 0) + by);
      },
    };
  }

  /** @param read - the value when it is printed */
  gauge(name: string, help: string, read: () => number): void {
    this.#families.push({ print: () => head(name, help, "gauge") + line(name, "", read()) });
  }

  /** @param bounds - upper ends of the ranges, ascending; the last range has none */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const series = new Map<string, { readonly labels: Labels; readonly counts: number[]; sum: number }>();
    this.#families.push({
      print() {
        const lines = [...series.values()].map(({ labels, counts, sum }) => {
          let total = 0;
          const buckets = [...bounds, Infinity].map((bound, at) => {
            total += counts[at];
            const le = bound === Infinity ? "+Inf" : String(bound);
            return line(`${name}_bucket`, written({ ...labels, le }), total);
          });
          return `${buckets.join("")}${line(`${name}_sum`, written(labels), sum)}${line(`${name}_count`, written(labels), total)}`;
        });
        return head(name, help, "histogram") + lines.join("");
      },
    });
    return {
      observe(labels, value) {
        const key = written(labels);
        const found = series.get(key) ?? {
          labels,
          counts: Array.from({ length: bounds.length + 1 }, () => 0),
          sum: 0,
        };
        series.set(key, found);
        const place = bounds.findIndex((bound) => value <= bound);
        found.counts[place === -1 ? bounds.length : place] += 1;
        found.sum += value;
      },
    };
  }

  print(): string {
    return this.#families.map((family) => family.print()).join("");
  }
}

/** The type that the text is sent as. */
export const prometheusType = "text/plain; version=0.0.4; charset=utf-8";

const head = (name: string, help: string, type: string): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

const line = (name: string, labels: string, value: number): string => `${name}${labels} ${value}\n`;

function written(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

const escaped = (text: string): string =>
  text
    .replaceAll("\\", String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll("\n", String.raw`\n`);
