// Packages for the operating system, from a fresh build: a Debian package, and an RPM where
// rpmbuild is installed. `--out DIR` is where they go (default: packages), `--stage DIR` only lays
// out the files, as they will lie under /. Nothing is downloaded: dependencies are those beside the
// build.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGING = join(ROOT, 'packaging');
/** Node's names of processors as Debian and RPM call them. */
const DEB_ARCH = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' };
const RPM_ARCH = { x64: 'x86_64', arm64: 'aarch64', arm: 'armv7hl' };
/** What a package of a dependency carries for those who build it. */
const NOT_NEEDED = /\.(cc|gyp|h|md|d\.[cm]?ts|map)$|^(deps|docs|test|benchmarks)$/;

const { values: options } = parseArgs({
  options: { out: { type: 'string' }, stage: { type: 'string' } },
});
const manifest = JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8'));

if (options.stage !== undefined) {
  stage(options.stage);
} else {
  const out = options.out ?? join(ROOT, 'packages');
  fs.mkdirSync(out, { recursive: true });
  const work = fs.mkdtempSync(join(tmpdir(), 'etcd-package-'));
  try {
    const tree = join(work, 'tree');
    stage(tree);
    for (const path of [buildDeb(tree, work, out), buildRpm(tree, work, out)]) {
      if (path !== null) console.log(path);
    }
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** Version of etcd whose behaviour this is, and ours. */
function versionText() {
  const program = join(ROOT, 'dist', 'etcd.js');
  const text = execFileSync(process.execPath, [program, '--version'], { encoding: 'utf8' });
  const etcd = /^etcd Version: (\S+)$/m.exec(text)?.[1];
  if (etcd === undefined) throw new Error(`no version in:\n${text}`);
  return `${etcd}+node${manifest.version}`;
}

function stage(tree) {
  const lib = join(tree, 'usr/lib/etcd-node');
  for (const name of fs.readdirSync(join(ROOT, 'dist'))) {
    if (/^etcd(utl)?(-.*)?\.js$/.test(name)) put(join(ROOT, 'dist', name), join(lib, 'dist', name));
  }
  const { name, version, license, type } = manifest;
  write(join(lib, 'package.json'), `${JSON.stringify({ name, version, license, type })}\n`);
  for (const folder of dependencies()) {
    put(folder, join(lib, relative(ROOT, folder)), isNeeded);
  }
  put(join(PACKAGING, 'launch.pl'), join(lib, 'launch.pl'));
  for (const program of ['etcd', 'etcdutl']) {
    if (!fs.existsSync(join(lib, 'dist', `${program}.js`))) continue;
    put(join(PACKAGING, program), join(tree, 'usr/bin', program));
    fs.chmodSync(join(tree, 'usr/bin', program), 0o755);
  }
  const units = join(tree, 'usr/lib/systemd/system');
  put(join(PACKAGING, 'etcd.service'), join(units, 'etcd.service'));
  put(join(PACKAGING, 'notify-access.conf'), join(units, 'etcd.service.d/10-notify-access.conf'));
  const doc = join(tree, 'usr/share/doc/etcd');
  put(join(PACKAGING, 'etcd.conf.yml'), join(doc, 'examples/etcd.conf.yml'));
  put(join(ROOT, 'LICENSE'), join(doc, 'copyright'));
  put(join(ROOT, 'docs/compat.md'), join(doc, 'compat.md'));
}

/** Folders of all packages that the program needs, dependencies of dependencies among them. */
function dependencies() {
  const args = ['ls', '--omit=dev', '--all', '--parseable'];
  const found = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8' });
  if (found.status !== 0) throw new Error(`npm ${args.join(' ')}: ${found.stderr}`);
  return found.stdout.split('\n').filter((path) => path.includes('/node_modules/'));
}

/** Native modules only of this machine's kind, and with GNU's C library. */
function isNeeded(path) {
  const name = basename(path);
  if (/^licen[cs]e/i.test(name)) return true;
  if (NOT_NEEDED.test(name) || name === 'node_modules') return false;
  if (basename(dirname(path)) === 'prebuilds') return name === `linux-${process.arch}`;
  return !/\.musl\.node$/.test(name);
}

function put(from, to, filter = () => true) {
  fs.mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
  fs.cpSync(from, to, { recursive: true, dereference: true, filter });
  for (const path of [to, ...under(to)]) {
    fs.chmodSync(path, fs.statSync(path).isDirectory() ? 0o755 : 0o644);
  }
}

function write(path, text, mode = 0o644) {
  fs.mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  fs.writeFileSync(path, text);
  fs.chmodSync(path, mode);
}

function under(folder) {
  if (!fs.statSync(folder).isDirectory()) return [];
  return fs.readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
}

/** A file of packaging/ with `#NAME#` filled in. */
function filled(name, texts) {
  const text = fs.readFileSync(join(PACKAGING, name), 'utf8');
  return text.replace(/#([A-Z_]+)#/g, (_, key) => {
    if (texts[key] === undefined) throw new Error(`${name}: nothing to put for #${key}#`);
    return texts[key];
  });
}

function buildDeb(tree, work, out) {
  const root = join(work, 'deb');
  fs.cpSync(tree, root, { recursive: true });
  const files = under(tree).filter((path) => fs.statSync(path).isFile());
  const bytes = files.reduce((sum, path) => sum + fs.statSync(path).size, 0);
  const texts = {
    VERSION: versionText(),
    DEB_ARCH: archOf(DEB_ARCH),
    SIZE_KB: String(Math.ceil(bytes / 1024)),
    USER: accountScript(),
    SAMPLE: digest('sha256', join(PACKAGING, 'etcd.conf.yml')),
  };
  write(join(root, 'DEBIAN/control'), filled('debian/control', texts));
  for (const name of ['postinst', 'prerm', 'postrm']) {
    write(join(root, 'DEBIAN', name), filled(`debian/${name}`, texts), 0o755);
  }
  const sums = files.map((path) => `${digest('md5', path)}  ${relative(tree, path)}\n`);
  write(join(root, 'DEBIAN/md5sums'), sums.sort().join(''));
  const path = join(out, `etcd_${texts.VERSION}-1_${texts.DEB_ARCH}.deb`);
  quietly('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', root, path]);
  return path;
}

function buildRpm(tree, work, out) {
  if (spawnSync('rpmbuild', ['--version']).error !== undefined) return null;
  // RPM sorts by what comes after a plus as Debian does.
  const version = versionText();
  const spec = join(work, 'etcd.spec');
  write(spec, filled('etcd.spec', { VERSION: version, USER: accountScript() }));
  const root = join(work, 'rpm');
  fs.cpSync(tree, root, { recursive: true });
  const define = ['--define', `_topdir ${join(work, 'rpmbuild')}`, '--define', `_rpmdir ${out}`];
  const name = ['--define', '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm'];
  const target = ['--target', archOf(RPM_ARCH), '--buildroot', root];
  quietly('rpmbuild', ['-bb', '--noclean', ...define, ...name, ...target, spec]);
  return join(out, `etcd-${version}-1.${archOf(RPM_ARCH)}.rpm`);
}

/** Without its head comment. */
function accountScript() {
  const text = fs.readFileSync(join(PACKAGING, 'user.sh'), 'utf8');
  return text.slice(text.indexOf('\n') + 1).trimEnd();
}

function archOf(names) {
  const name = names[process.arch];
  if (name === undefined) throw new Error(`no package for ${process.arch}`);
  return name;
}

function digest(algorithm, path) {
  return createHash(algorithm).update(fs.readFileSync(path)).digest('hex');
}

function quietly(program, args) {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}\n${stderr}`);
}
