/** The path of a request as Go's ServeMux reads it: decoded, and redirected unless it is clean. */

export type RequestPath =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'malformed' };

/** What makes a path anything but plain: doubled slashes, dots, escapes, or a whole URL. */
const SPECIAL = /\/\/|\/\.|%|^[^/]/;

/** `target` is the path and query of the request line. */
export function requestPath(target: string): RequestPath {
  const end = target.indexOf('?');
  const path = end < 0 ? target : target.slice(0, end);
  if (!SPECIAL.test(path)) return { kind: 'path', path };
  const local = path.replace(/^https?:\/\/[^/]*/i, '') || '/';
  if (/%(?![0-9a-f]{2})/i.test(local) || !local.startsWith('/')) return { kind: 'malformed' };
  const clean = cleaned(local);
  if (clean !== local) {
    // etcd: what is escaped already is escaped once more.
    const location = clean.replaceAll('%', '%25') + (end < 0 ? '' : target.slice(end));
    return { kind: 'redirect', location };
  }
  return { kind: 'path', path: decoded(local) };
}

/** Without empty segments and dots; a slash at the end stays. */
function cleaned(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  const last = path.endsWith('/') && segments.length > 0 ? '/' : '';
  return `/${segments.join('/')}${last}`;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // Escapes that are no UTF-8 are no path of ours either.
    return path;
  }
}
