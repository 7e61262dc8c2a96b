// Turns rounds of figures into ratios, a Markdown table and the lines below it.
// A ratio is always taken between neighbours in time: round i of ours over round i of the other.

/** @typedef {import('./workloads.mjs').Target} Target */
/** @typedef {{ median: number, min: number, max: number }} Spread */
/**
 * @typedef {{ name: string, what: string, unit: string, target: Target, ours: Spread, other:
 * Spread,
 *   ratio: Spread, met: boolean | null, limitMs: number | null,
 *   cpuRatio: number | null }} Line
 */

/**
 * @param {readonly number[]} values
 * @returns {Spread}
 */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median =
    sorted.length % 2 === 1
      ? sorted[Math.floor(middle)]
      : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * @param {{ name: string, what: string, unit: string, target: Target, ours: readonly number[],
 *   other: readonly number[], limitMs?: number, cpuRatio?: number }} figures
 *   `limitMs` is a target on our own figure instead of on the ratio.
 * @returns {Line}
 */
export function line({ name, what, unit, target, ours, other, limitMs, cpuRatio }) {
  const ratio = spread(ours.map((value, i) => value / other[i]));
  const own = spread(ours);
  let met = null;
  if (limitMs !== undefined) met = own.median <= limitMs;
  else if (target !== null) {
    met = 'atLeast' in target ? ratio.median >= target.atLeast : ratio.median <= target.atMost;
  }
  return {
    ...{ name, what, unit, target, ours: own, other: spread(other), ratio, met },
    limitMs: limitMs ?? null,
    cpuRatio: cpuRatio ?? null,
  };
}

/** @param {number} value */
export function figure(value) {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
  return String(Number(value.toPrecision(3)));
}

/** @param {Line} each */
function targetText({ target, limitMs, met }) {
  const verdict = met === null ? '' : met ? ', met' : ', **missed**';
  if (limitMs !== null) return `≤ ${limitMs} ms${verdict}`;
  if (target === null) return '–';
  return 'atLeast' in target ? `≥ ${target.atLeast}×${verdict}` : `≤ ${target.atMost}×${verdict}`;
}

/** @param {Spread} value */
function withRange({ median, min, max }) {
  return min === max ? figure(median) : `${figure(median)} (${figure(min)}–${figure(max)})`;
}

/**
 * @param {readonly Line[]} lines
 * @param {{ ours: string, other: string }} labels
 */
export function markdownTable(lines, labels) {
  const rows = lines.map((each) => [
    each.what,
    each.unit,
    withRange(each.ours),
    withRange(each.other),
    withRange(each.ratio),
    each.cpuRatio === null ? '–' : figure(each.cpuRatio),
    targetText(each),
  ]);
  const head = ['what', 'unit', labels.ours, labels.other, 'ratio', 'CPU ratio', 'target'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/**
 * Latency and cost of every workload: medians over the rounds.
 * @param {readonly { name: string, sides: readonly { label: string,
 *   rounds: readonly import('./run.mjs').RunResult[] }[] }[]} workloads
 */
export function costTable(workloads) {
  const median = (
    /** @type {readonly import('./run.mjs').RunResult[]} */ rounds,
    /** @type {(result: import('./run.mjs').RunResult) => number} */ of,
  ) => figure(spread(rounds.map(of)).median);
  const rows = workloads.flatMap(({ name, sides }) =>
    sides.map(({ label, rounds }) => [
      name,
      label,
      median(rounds, (r) => r.perSecond),
      median(rounds, (r) => r.latencyMs.p50),
      median(rounds, (r) => r.latencyMs.p90),
      median(rounds, (r) => r.latencyMs.p99),
      median(rounds, (r) => r.latencyMs.max),
      median(rounds, (r) => r.serverCpuSecondsPer1000 * 1000),
      median(rounds, (r) => r.generatorCpuSecondsPer1000 * 1000),
      median(rounds, (r) => r.strangersCores),
      String(rounds.reduce((sum, r) => sum + r.errors + r.wrong, 0)),
    ]),
  );
  const head = [
    ...['workload', 'server', 'per second', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms'],
    ...['server CPU µs each', 'generator CPU µs each', 'strangers, cores', 'faults'],
  ];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/**
 * Cores kept busy by neither server nor generator, the median over the rounds.
 * @param {{ rounds: readonly object[] }} side
 */
export function strangers({ rounds }) {
  return spread(
    rounds.map((round) => ('strangersCores' in round ? Number(round.strangersCores) : 0)),
  ).median;
}

/**
 * One line about a round that has ended.
 * @param {string} name
 * @param {string} label
 * @param {import('./run.mjs').RunResult} result
 */
export function runText(name, label, { perSecond, latencyMs, errors, wrong, firstFault }) {
  const faults = errors + wrong > 0 ? `  FAULTS ${errors + wrong}: ${firstFault}` : '';
  const latency = `p50 ${latencyMs.p50} p99 ${latencyMs.p99} ms`;
  const rate = `${figure(perSecond).padStart(9)}/s`;
  return `${name.padEnd(20)} ${label.padEnd(8)} ${rate}  ${latency}${faults}`;
}

/**
 * What each member of a cluster spent, the leader first, and how often leadership moved meanwhile.
 * @typedef {{ members: { label: string, cpuSeconds: number,
 *   memoryMib: { peakRss: number, rss: number, anon: number, file: number } }[],
 *   elections: number }} MemberFigures
 */

/**
 * What leader and followers cost: medians over the rounds, of the followers the mean.
 * @param {readonly { name: string, sides: readonly { label: string,
 *   rounds: readonly (import('./run.mjs').RunResult & MemberFigures)[] }[] }[]} workloads
 */
export function memberTable(workloads) {
  /** @typedef {import('./run.mjs').RunResult & MemberFigures} Round */
  const rows = workloads.flatMap(({ name, sides }) =>
    sides.map(({ label, rounds }) => {
      const median = (/** @type {(round: Round) => number} */ of) =>
        figure(spread(rounds.map(of)).median);
      const mean = (/** @type {number[]} */ of) => of.reduce((sum, x) => sum + x, 0) / of.length;
      const micros = (/** @type {number} */ cpu, /** @type {Round} */ round) =>
        (cpu / Math.max(1, round.units)) * 1e6;
      return [
        ...[name, label],
        median((round) => micros(round.members[0].cpuSeconds, round)),
        median((round) => micros(mean(round.members.slice(1).map((m) => m.cpuSeconds)), round)),
        median((round) => round.members[0].memoryMib.peakRss),
        median((round) => mean(round.members.slice(1).map((m) => m.memoryMib.peakRss))),
        String(rounds.reduce((sum, { elections }) => sum + elections, 0)),
      ];
    }),
  );
  const head = [
    ...['workload', 'cluster', 'leader CPU µs each', 'follower CPU µs each'],
    ...['leader peak RSS MiB', 'follower peak RSS MiB', 'elections'],
  ];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
