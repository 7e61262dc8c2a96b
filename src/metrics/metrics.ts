/**
 * All metrics of one server, in typed groups; there is no global registry, so several servers can
 * live in one process. `server.ts` hands each module its group. Pure modules have none: whoever
 * drives them observes.
 */

import { renderFamilies } from './exposition.ts';
import { type GrpcMethod, grpcMetrics } from './grpc-families.ts';
import { Families } from './instruments.ts';
import {
  addProcessFamilies,
  addRuntimeFamilies,
  openFiles,
  openFilesLimit,
} from './process-families.ts';
import type { Registry } from './prom-registry.ts';
import {
  grpcProxyMetrics,
  networkMetrics,
  osMetrics,
  serverMetrics,
  v2StoreMetrics,
} from './server-families.ts';
import {
  authMetrics,
  diskMetrics,
  leaseMetrics,
  mvccMetrics,
  snapMetrics,
} from './storage-families.ts';

export interface MetricsOptions {
  readonly serverVersion: string;
  readonly features: readonly {
    readonly name: string;
    readonly stage: string;
    readonly enabled: boolean;
  }[];
  readonly grpcMethods: readonly GrpcMethod[];
  /** --metrics=extensive: adds the histogram of every gRPC method. */
  readonly extensive: boolean;
}

export type Metrics = ReturnType<typeof createMetrics>;
export type MvccMetrics = ReturnType<typeof mvccMetrics>;
export type DiskMetrics = ReturnType<typeof diskMetrics>;
export type SnapMetrics = ReturnType<typeof snapMetrics>;
export type LeaseMetrics = ReturnType<typeof leaseMetrics>;
export type AuthMetrics = ReturnType<typeof authMetrics>;
export type ServerMetrics = ReturnType<typeof serverMetrics>;
export type NetworkMetrics = ReturnType<typeof networkMetrics>;

export function createMetrics(options: MetricsOptions) {
  const families = new Families();
  const server = serverMetrics(families);
  const os = osMetrics(families);
  // Present in etcd for parts that this server does not have: they stay at 0.
  v2StoreMetrics(families);
  grpcProxyMetrics(families);
  addProcessFamilies(families);
  const stopRuntime = addRuntimeFamilies(families);
  const scrapes = scrapeMetrics(families);
  server.version.with({ server_version: options.serverVersion }).set(1);
  server.goVersion.with({ server_go_version: process.version }).set(1);
  for (const { name, stage, enabled } of options.features) {
    server.featureEnabled.with({ name, stage }).set(enabled ? 1 : 0);
  }
  const beforeScrape = new Set<() => void>();
  const refresh = () => {
    os.fdLimit.set(openFilesLimit() ?? 0);
    os.fdUsed.set(openFiles() ?? 0);
    for (const fn of beforeScrape) fn();
  };
  return {
    server,
    network: networkMetrics(families),
    mvcc: mvccMetrics(families),
    disk: diskMetrics(families),
    snap: snapMetrics(families),
    lease: leaseMetrics(families),
    auth: authMetrics(families),
    grpc: grpcMetrics(families, options.grpcMethods, options.extensive),
    /** Runs `fn` before every scrape, to set gauges that are cheaper to read than to keep. */
    onScrape: (fn: () => void): (() => void) => {
      beforeScrape.add(fn);
      return () => beforeScrape.delete(fn);
    },
    /** The text of one scrape; its content type is `CONTENT_TYPE`. */
    render: async (): Promise<string> => {
      scrapes.inFlight.inc();
      try {
        refresh();
        const text = renderFamilies(families);
        scrapes.requests.with({ code: '200' }).inc();
        return text;
      } catch (error) {
        scrapes.requests.with({ code: '500' }).inc();
        throw error;
      } finally {
        scrapes.inFlight.dec();
      }
    },
    /** The same families as a registry of prom-client, for a program that embeds the server. */
    registry: async (): Promise<Registry> => {
      const { promRegistry } = await import('./prom-registry.ts');
      refresh();
      return promRegistry(families);
    },
    close: (): void => stopRuntime(),
  };
}

function scrapeMetrics(families: Families) {
  const requests = families.counterVec(
    'promhttp_metric_handler_requests_total',
    'Total number of scrapes by HTTP status code.',
    ['code'],
  );
  for (const code of ['200', '500', '503']) requests.with({ code });
  const inFlight = families.gauge(
    'promhttp_metric_handler_requests_in_flight',
    'Current number of scrapes being served.',
  );
  return { requests, inFlight };
}
