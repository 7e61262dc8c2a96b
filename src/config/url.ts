/**
 * URLs of listeners and members, as etcd reads them (Go's net/url plus etcd's own checks). A URL
 * travels through the program as text in Go's normal form, because member ids are hashes over that
 * text; `splitUrl` takes it apart for those who bind or dial.
 */

import { isIP } from 'node:net';
import { assert } from '../assert.ts';
import { goQuote, ValueError } from './go-text.ts';

export type UrlScheme = 'http' | 'https' | 'unix' | 'unixs';

export interface EtcdUrl {
  readonly text: string;
  readonly scheme: UrlScheme;
  readonly secure: boolean;
  /** Without brackets; for unix the part before the path. */
  readonly host: string;
  /** 0 for unix. */
  readonly port: number;
  /** `host:port` as written, or the socket file of a unix URL. */
  readonly address: string;
}

interface GoUrl {
  readonly scheme: string;
  readonly opaque: string;
  readonly userinfo: string;
  readonly host: string;
  readonly path: string;
  /** Query and fragment with their marks; etcd allows and keeps them. */
  readonly tail: string;
  readonly authority: boolean;
}

/** A comma-separated list: checked, trimmed, sorted by text, without repetitions. */
export function parseUrls(text: string): readonly string[] {
  const urls = text.split(',').map((part) => checkUrl(part.trim()));
  return [...new Set(urls)].sort();
}

/** The normal form of one URL; throws `ValueError` with etcd's text. */
export function checkUrl(text: string): string {
  const url = parseGoUrl(text);
  switch (url.scheme) {
    case 'http':
    case 'https':
      if (splitHostPort(url.host) === null) {
        throw new ValueError(`URL address does not have the form "host:port": ${text}`);
      }
      if (url.path !== '') throw new ValueError(`URL must not contain a path: ${text}`);
      break;
    case 'unix':
    case 'unixs':
      break;
    default:
      throw new ValueError(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
  return urlText(url);
}

/** Takes apart a URL that `checkUrl` has accepted. */
export function splitUrl(text: string): EtcdUrl {
  const url = parseGoUrl(text);
  const scheme = url.scheme;
  const unix = scheme === 'unix' || scheme === 'unixs';
  assert(unix || scheme === 'http' || scheme === 'https', 'the URL was checked before');
  const secure = scheme === 'https' || scheme === 'unixs';
  if (unix) {
    const address = `${url.host}${url.path}`;
    return { text, scheme, secure, host: url.host, port: 0, address };
  }
  const parts = splitHostPort(url.host) ?? { host: url.host, port: '' };
  return { text, scheme, secure, host: parts.host, port: Number(parts.port), address: url.host };
}

/** etcd binds to addresses only: a name could resolve to something else at every start. */
export function bindError(urls: readonly string[]): string | null {
  for (const text of urls) {
    const url = splitUrl(text);
    if (url.scheme === 'unix' || url.scheme === 'unixs' || url.host === 'localhost') continue;
    // Go's ParseIP knows no zones.
    if (isIP(url.host) === 0 || url.host.includes('%')) {
      return `expected IP in URL for binding (${text})`;
    }
  }
  return null;
}

export function hostError(urls: readonly string[]): string | null {
  for (const text of urls) {
    const url = splitUrl(text);
    if (url.scheme === 'unix' || url.scheme === 'unixs') continue;
    if (url.host === '') return `unexpected empty host (${text})`;
  }
  return null;
}

/** Go's net.JoinHostPort. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Go's net.SplitHostPort; null when it would fail. */
function splitHostPort(address: string): { host: string; port: string } | null {
  const bracketed = /^\[([^[\]]*)\]:([^:[\]]*)$/.exec(address);
  const match = bracketed ?? /^([^:[\]]*):([^:[\]]*)$/.exec(address);
  return match === null ? null : { host: match[1] ?? '', port: match[2] ?? '' };
}

function parseGoUrl(text: string): GoUrl {
  const fail = (reason: string): never => {
    throw new ValueError(`parse ${goQuote(text)}: ${reason}`);
  };
  if ([...text].some((character) => character < ' ' || character === '\x7f')) {
    fail('net/url: invalid control character in URL');
  }
  if (text.startsWith(':')) fail('missing protocol scheme');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase() ?? '';
  const afterScheme = scheme === '' ? text : text.slice(scheme.length + 1);
  const tailAt = afterScheme.search(/[?#]/);
  const tail = tailAt < 0 ? '' : afterScheme.slice(tailAt);
  const rest = tailAt < 0 ? afterScheme : afterScheme.slice(0, tailAt);
  const none = { scheme, opaque: '', userinfo: '', host: '', tail, authority: false };
  if (!rest.startsWith('/')) {
    if (scheme !== '') return { ...none, opaque: rest, path: '' };
    if ((rest.split('/')[0] ?? '').includes(':')) {
      fail('first path segment in URL cannot contain colon');
    }
  }
  if (!rest.startsWith('//') || (scheme === '' && rest.startsWith('///'))) {
    return { ...none, path: rest };
  }
  const slash = rest.indexOf('/', 2);
  const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  checkHost(host, fail);
  const userinfo = at < 0 ? '' : authority.slice(0, at + 1);
  const path = slash < 0 ? '' : rest.slice(slash);
  return { ...none, userinfo, host: escapeHost(host), path, authority: true };
}

function checkHost(host: string, fail: (reason: string) => never): void {
  let port = '';
  if (host.startsWith('[')) {
    const close = host.lastIndexOf(']');
    if (close < 0) fail("missing ']' in host");
    port = host.slice(close + 1);
  } else if (host.includes(':')) {
    port = host.slice(host.indexOf(':'));
  }
  if (port !== '' && !/^:\d*$/.test(port)) fail(`invalid port ${goQuote(port)} after host`);
  // Go allows %25 (a zone mark) and escaped non-ASCII bytes in a host, nothing else.
  for (const match of host.matchAll(/%.{0,2}/gs)) {
    if (!/^%(25|[89a-fA-F][0-9a-fA-F])$/.test(match[0])) {
      fail(`invalid URL escape ${goQuote(match[0])}`);
    }
  }
  const bad = /[^A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"%\u0080-\u{10ffff}]/u.exec(host);
  if (bad !== null) fail(`invalid character ${goQuote(bad[0])} in host name`);
}

/** Go prints non-ASCII bytes of a host percent-encoded. */
function escapeHost(host: string): string {
  return host.replace(/[\u0080-\u{10ffff}]+/gu, (text) => encodeURIComponent(text));
}

function urlText(url: GoUrl): string {
  const { scheme, opaque, userinfo, host, path, tail, authority } = url;
  const slashes = authority && (host !== '' || userinfo !== '' || path !== '') ? '//' : '';
  return `${scheme}:${opaque}${slashes}${userinfo}${host}${path}${tail}`;
}
