/**
 * Whether two lists of peer URLs mean the same places. etcd compares them as text and, only where
 * that differs, once more with names of hosts replaced by their addresses.
 */

import { isIP } from 'node:net';
import { goQuote } from '../config/go-text.ts';
import { checkUrl, splitUrl } from '../config/url.ts';
import { pause } from '../pause.ts';
import type { Clock } from '../ports.ts';

/** The first address of a host name. */
export type Resolve = (host: string) => Promise<string>;

/** etcd: how long names may take to become known, all in all, and between two attempts. */
const RESOLVE_MS_MAX = 30_000;
const RETRY_MS = 1000;

/** The waits are bounded, so nobody ends them early. */
const NEVER = new AbortController().signal;

/** Compares lists; all names together may take half a minute to become known. */
export class PeerUrls {
  readonly #resolve: Resolve;
  readonly #clock: Pick<Clock, 'every'>;
  #msLeft = RESOLVE_MS_MAX;

  constructor(resolve: Resolve, clock: Pick<Clock, 'every'>) {
    this.#resolve = resolve;
    this.#clock = clock;
  }

  /** Why the lists differ, in etcd's words; `null` when they do not. */
  async difference(a: readonly string[], b: readonly string[]): Promise<string | null> {
    if (a.length !== b.length) return `len(${goList(a)}) != len(${goList(b)})`;
    const [left, right] = [[...a].sort(), [...b].sort()];
    if (left.every((url, at) => url === right[at])) return null;
    try {
      const [resolvedLeft, resolvedRight] = [await this.#all(left), await this.#all(right)];
      const at = resolvedLeft.findIndex((url, position) => url !== resolvedRight[position]);
      if (at < 0) return null;
      const texts = [resolvedLeft[at] ?? '', resolvedRight[at] ?? ''].map(goQuote);
      return `resolved urls: ${texts.join(' != ')}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #all(urls: readonly string[]): Promise<readonly string[]> {
    const resolved: string[] = [];
    for (const url of urls) resolved.push(await this.#one(url));
    return resolved.sort();
  }

  async #one(text: string): Promise<string> {
    const { scheme, host, port } = splitUrl(checkUrl(text));
    if (scheme === 'unix' || scheme === 'unixs' || host === 'localhost') return text;
    const address = await this.#address(text, host);
    return `${scheme}://${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
  }

  async #address(url: string, host: string): Promise<string> {
    if (isIP(host) !== 0) return normalAddress(host);
    for (;;) {
      try {
        return await this.#resolve(host);
      } catch (error) {
        if (this.#msLeft > 0) {
          this.#msLeft -= RETRY_MS;
          await pause(this.#clock, RETRY_MS, NEVER);
          continue;
        }
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`failed to resolve ${goQuote(url)} (${reason})`, { cause: error });
      }
    }
  }
}

/** One way to write each IPv6 address. */
function normalAddress(host: string): string {
  return isIP(host) === 6 ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host;
}

/** As Go's %q of a list. */
function goList(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`;
}
