/**
 * The metrics of the process, under the names of Go's client. process_* are read from /proc and are
 * absent where there is none. go_* are the nearest figures of Node's: heap of V8, garbage
 * collections, active resources in place of goroutines; what has no counterpart is 0.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics, type HeapInfo } from 'node:v8';
import { type Families, type MetricType, renderLabels, type Sample } from './instruments.ts';

/** Limit: durations of garbage collections kept for the quantiles. */
const COLLECTIONS_KEPT = 256;
/** Linux reports times in hundredths of a second to user space. */
const TICKS_PER_SECOND = 100;
const UNLIMITED = 2 ** 64;

/** One value per scrape, or null when it cannot be read here. */
type Reading = () => number | null;

function addReading(
  families: Families,
  type: MetricType,
  name: string,
  help: string,
  read: Reading,
): void {
  const samples = (): Sample[] => {
    const value = read();
    return value === null ? [] : [{ suffix: '', labels: '', value }];
  };
  families.add({ name, help, type, labelNames: [], samples });
}

// ---- process_* ------------------------------------------------------------------------------

export function addProcessFamilies(families: Families): void {
  const add = (type: MetricType, name: string, help: string, read: Reading) =>
    addReading(families, type, `process_${name}`, help, read);
  add('counter', 'cpu_seconds_total', 'Total user and system CPU time spent in seconds.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000_000;
  });
  add('gauge', 'max_fds', 'Maximum number of open file descriptors.', openFilesLimit);
  add(
    'counter',
    'network_receive_bytes_total',
    'Number of bytes received by the process over the network.',
    () => networkBytes('InOctets'),
  );
  add(
    'counter',
    'network_transmit_bytes_total',
    'Number of bytes sent by the process over the network.',
    () => networkBytes('OutOctets'),
  );
  add('gauge', 'open_fds', 'Number of open file descriptors.', openFiles);
  add('gauge', 'resident_memory_bytes', 'Resident memory size in bytes.', () =>
    process.memoryUsage.rss(),
  );
  add(
    'gauge',
    'start_time_seconds',
    'Start time of the process since unix epoch in seconds.',
    startTime,
  );
  add('gauge', 'virtual_memory_bytes', 'Virtual memory size in bytes.', () => statField(22));
  add(
    'gauge',
    'virtual_memory_max_bytes',
    'Maximum amount of virtual memory available in bytes.',
    () => softLimit('Max address space'),
  );
}

export function openFiles(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    // Not Linux: the metric is left out.
    return null;
  }
}

export function openFilesLimit(): number | null {
  return softLimit('Max open files');
}

function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, 'latin1');
  } catch {
    // Not Linux: what is read from here is left out.
    return null;
  }
}

function softLimit(name: string): number | null {
  const line = readProc('self/limits')
    ?.split('\n')
    .find((each) => each.startsWith(name));
  const value = line?.slice(name.length).trim().split(/\s+/)[0];
  if (value === undefined) return null;
  return value === 'unlimited' ? UNLIMITED : Number(value);
}

/** A field of /proc/self/stat, counted from 0. The second, in parentheses, may contain blanks. */
function statField(at: number): number | null {
  const text = readProc('self/stat');
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[at - 2]);
}

function startTime(): number | null {
  const booted = /^btime (\d+)$/m.exec(readProc('stat') ?? '')?.[1];
  const ticks = statField(21);
  if (booted === undefined || ticks === null) return null;
  return Number(booted) + ticks / TICKS_PER_SECOND;
}

function networkBytes(column: string): number | null {
  const lines = readProc('self/net/netstat')?.split('\n') ?? [];
  const [names = '', values = ''] = lines.filter((line) => line.startsWith('IpExt:'));
  const at = names.split(' ').indexOf(column);
  return at < 0 ? null : Number(values.split(' ')[at]);
}

// ---- go_* -----------------------------------------------------------------------------------

/** Figures of Node under Go's names; null stands for "no counterpart" and is shown as 0. */
const memory: readonly (readonly [string, MetricType, ((heap: HeapInfo) => number) | null])[] = [
  ['alloc_bytes', 'gauge', (heap) => heap.used_heap_size],
  ['buck_hash_sys_bytes', 'gauge', null],
  ['frees_total', 'counter', null],
  ['gc_sys_bytes', 'gauge', null],
  ['heap_alloc_bytes', 'gauge', (heap) => heap.used_heap_size],
  ['heap_idle_bytes', 'gauge', (heap) => heap.total_heap_size - heap.used_heap_size],
  ['heap_inuse_bytes', 'gauge', (heap) => heap.used_heap_size],
  ['heap_objects', 'gauge', null],
  ['heap_released_bytes', 'gauge', null],
  ['heap_sys_bytes', 'gauge', (heap) => heap.total_heap_size],
  ['mallocs_total', 'counter', null],
  ['mcache_inuse_bytes', 'gauge', null],
  ['mcache_sys_bytes', 'gauge', null],
  ['mspan_inuse_bytes', 'gauge', null],
  ['mspan_sys_bytes', 'gauge', null],
  ['next_gc_bytes', 'gauge', (heap) => heap.heap_size_limit],
  ['other_sys_bytes', 'gauge', (heap) => heap.malloced_memory + heap.external_memory],
  ['stack_inuse_bytes', 'gauge', null],
  ['stack_sys_bytes', 'gauge', null],
  ['sys_bytes', 'gauge', (heap) => heap.total_heap_size + heap.malloced_memory],
];

/** Returns a function that stops observing garbage collections. */
export function addRuntimeFamilies(families: Families): () => void {
  const collections = new Collections();
  const add = (type: MetricType, name: string, help: string, read: Reading) =>
    addReading(families, type, `go_${name}`, help, read);
  families.add({
    name: 'go_gc_duration_seconds',
    help: 'Durations of garbage collections of V8.',
    type: 'summary',
    labelNames: [],
    samples: () => collections.samples(),
  });
  families.add({
    name: 'go_info',
    help: 'The runtime: Node.js.',
    type: 'gauge',
    labelNames: ['version'],
    samples: () => [{ suffix: '', labels: renderLabels(['version'], [process.version]), value: 1 }],
  });
  add('gauge', 'gc_gogc_percent', 'Always 100: no counterpart in Node.js.', () => 100);
  add('gauge', 'gc_gomemlimit_bytes', 'Limit of the heap of V8.', () => heap().heap_size_limit);
  add('gauge', 'goroutines', 'Resources that keep the event loop of Node.js alive.', () => {
    return process.getActiveResourcesInfo().length;
  });
  add('gauge', 'sched_gomaxprocs_threads', 'Processors that can be used.', availableParallelism);
  add('gauge', 'threads', 'Threads of the process.', () => statField(19));
  add('gauge', 'memstats_last_gc_time_seconds', 'Unix time of the last garbage collection.', () => {
    return collections.lastAt;
  });
  let allocated = 0;
  add('counter', 'memstats_alloc_bytes_total', 'Largest size the heap of V8 has had.', () => {
    allocated = Math.max(allocated, heap().used_heap_size);
    return allocated;
  });
  for (const [name, type, read] of memory) {
    const help = read === null ? 'No counterpart in Node.js, always 0.' : 'Memory of V8.';
    add(type, `memstats_${name}`, help, () => read?.(heap()) ?? 0);
  }
  return () => collections.close();
}

function heap(): HeapInfo {
  return getHeapStatistics();
}

/** Garbage collections since the start, with the durations of the last ones. */
class Collections {
  lastAt = 0;
  readonly #observer: PerformanceObserver;
  readonly #recent: number[] = [];
  #count = 0;
  #sum = 0;

  constructor() {
    this.#observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.#note(duration / 1000);
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  samples(): Sample[] {
    const sorted = [...this.#recent].sort((a, b) => a - b);
    const quantiles = [0, 0.25, 0.5, 0.75, 1].map((quantile): Sample => {
      const at = Math.ceil(quantile * (sorted.length - 1));
      return { suffix: '', labels: `quantile="${quantile}"`, value: sorted[at] ?? 0 };
    });
    return [
      ...quantiles,
      { suffix: '_sum', labels: '', value: this.#sum },
      { suffix: '_count', labels: '', value: this.#count },
    ];
  }

  close(): void {
    this.#observer.disconnect();
  }

  #note(seconds: number): void {
    this.lastAt = Date.now() / 1000;
    this.#recent[this.#count % COLLECTIONS_KEPT] = seconds;
    this.#count++;
    this.#sum += seconds;
  }
}
