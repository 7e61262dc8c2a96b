/**
 * Counters, gauges and histograms that cost a hot path no more than a number field, and the
 * families they belong to. Nothing is formatted before a scrape; the text is in `exposition.ts`.
 *
 * Invariant: a family with labels shows the series that were asked for, and no family without
 * series is shown, as in Go's client.
 */

import { assert, must } from '../assert.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram' | 'summary';

export interface Sample {
  /** Added to the family's name: `_bucket`, `_sum`, `_count` or nothing. */
  readonly suffix: string;
  /** Already rendered, `a="x",b="y"`; empty without labels. */
  readonly labels: string;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly string[];
  readonly samples: () => Sample[];
}

/** Only goes up. Hot paths write `counter.value++`. */
export class Counter {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }
}

/** Fixed buckets; one observation is a short scan and two additions. */
export class Histogram {
  sum = 0;
  readonly #bounds: Float64Array;
  readonly #counts: Float64Array;

  constructor(bounds: readonly number[]) {
    assert(bounds.length > 0, 'a histogram has buckets');
    this.#bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** In the unit of the metric's name, mostly seconds. */
  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    // Past the end the bound is undefined, and the comparison false: the +Inf bucket.
    while (value > (bounds[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.sum += value;
  }

  observeMs(milliseconds: number): void {
    this.observe(milliseconds / 1000);
  }

  get count(): number {
    return this.#counts.reduce((total, each) => total + each, 0);
  }

  /** Cumulative counts by upper bound; the last bound is infinite. */
  buckets(): readonly (readonly [bound: number, count: number])[] {
    let total = 0;
    return [...this.#bounds, Number.POSITIVE_INFINITY].map((bound, at) => {
      total += must(this.#counts[at], 'there is one more count than bounds');
      return [bound, total] as const;
    });
  }
}

/** Limit: series of one family. Label values can come from clients; more are not shown. */
const SERIES_MAX = 2000;

/** One instrument per combination of label values. Hot paths keep what `with` returns. */
export class Vec<L extends string, I> {
  readonly #names: readonly L[];
  readonly #make: () => I;
  readonly #series = new Map<string, { readonly values: readonly string[]; readonly item: I }>();

  constructor(names: readonly L[], make: () => I) {
    this.#names = names;
    this.#make = make;
  }

  with(labels: Readonly<Record<L, string>>): I {
    const values = this.#names.map((name) => labels[name]);
    const key = values.join('\xff');
    const known = this.#series.get(key);
    if (known !== undefined) return known.item;
    const item = this.#make();
    if (this.#series.size < SERIES_MAX) this.#series.set(key, { values, item });
    return item;
  }

  /** No longer shows this combination. */
  remove(labels: Readonly<Record<L, string>>): void {
    this.#series.delete(this.#names.map((name) => labels[name]).join('\xff'));
  }

  /** Ordered by label values, with the labels rendered. */
  entries(): readonly (readonly [labels: string, item: I])[] {
    return [...this.#series]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { values, item }]) => [renderLabels(this.#names, values), item] as const);
  }
}

export function renderLabels(names: readonly string[], values: readonly string[]): string {
  return names.map((name, at) => `${name}="${escapeLabel(values[at] ?? '')}"`).join(',');
}

function escapeLabel(value: string): string {
  return value.replace(/[\\\n"]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}

function cellSamples(labels: string, { value }: Counter | Gauge): Sample[] {
  return [{ suffix: '', labels, value }];
}

export function histogramSamples(labels: string, histogram: Histogram): Sample[] {
  const comma = labels === '' ? '' : ',';
  const buckets = histogram.buckets();
  const samples = buckets.map(
    ([bound, value]): Sample => ({
      suffix: '_bucket',
      labels: `${labels}${comma}le="${goFloat(bound)}"`,
      value,
    }),
  );
  samples.push({ suffix: '_sum', labels, value: histogram.sum });
  samples.push({ suffix: '_count', labels, value: buckets.at(-1)?.[1] ?? 0 });
  return samples;
}

type Labels<N extends readonly string[]> = N[number];

/** The families of one server, in the order in which they are made. */
export class Families {
  readonly #families = new Map<string, Family>();

  add(family: Family): void {
    assert(!this.#families.has(family.name), 'a metric family is made once');
    this.#families.set(family.name, family);
  }

  /** Sorted by name, as Go shows them. */
  all(): readonly Family[] {
    return [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  counter(name: string, help: string): Counter {
    const item = new Counter();
    this.#single('counter', name, help, () => cellSamples('', item));
    return item;
  }

  gauge(name: string, help: string): Gauge {
    const item = new Gauge();
    this.#single('gauge', name, help, () => cellSamples('', item));
    return item;
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const item = new Histogram(bounds);
    this.#single('histogram', name, help, () => histogramSamples('', item));
    return item;
  }

  counterVec<const N extends readonly string[]>(
    name: string,
    help: string,
    labels: N,
  ): Vec<Labels<N>, Counter> {
    return this.#vec('counter', name, help, labels, () => new Counter(), cellSamples);
  }

  gaugeVec<const N extends readonly string[]>(
    name: string,
    help: string,
    labels: N,
  ): Vec<Labels<N>, Gauge> {
    return this.#vec('gauge', name, help, labels, () => new Gauge(), cellSamples);
  }

  histogramVec<const N extends readonly string[]>(
    name: string,
    help: string,
    labels: N,
    bounds: readonly number[],
  ): Vec<Labels<N>, Histogram> {
    const make = () => new Histogram(bounds);
    return this.#vec('histogram', name, help, labels, make, histogramSamples);
  }

  #single(type: MetricType, name: string, help: string, samples: () => Sample[]): void {
    this.add({ name, help, type, labelNames: [], samples });
  }

  #vec<const N extends readonly string[], I>(
    type: MetricType,
    name: string,
    help: string,
    labelNames: N,
    make: () => I,
    samplesOf: (labels: string, item: I) => Sample[],
  ): Vec<Labels<N>, I> {
    const vec = new Vec<Labels<N>, I>([...labelNames].sort(), make);
    const samples = () => vec.entries().flatMap(([labels, item]) => samplesOf(labels, item));
    this.add({ name, help, type, labelNames: [...labelNames].sort(), samples });
    return vec;
  }
}

/** `count` bounds, each `factor` times the one before. */
export function exponential(start: number, factor: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => start * factor ** at);
}

/** Go's shortest 'g' form: bucket labels must be equal in text to those of Go members. */
export function goFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (value === 0 || (exponent >= -4 && exponent < 6)) return String(value);
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${size}`;
}
