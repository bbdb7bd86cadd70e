// `npm run build`: `tsc -b` checks the types and writes the declarations, esbuild writes what is run and published.
// A package of many modules takes about 1 ms of each start for each of them; bundled, it is one file an entry point.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { build } from 'esbuild'
import { bin, root, run, say, SetupError } from './setup.js'

/** A file that is loaded by its URL (a preload, a worker) lies beside the module that names it like this. */
const LOADED_BY_URL = /new URL\('([^']+)', import\.meta\.url\)/g

try {
  run('node', [bin('typescript/bin/tsc'), '-b'])
  const packages = await readPackages()
  // What is private cannot be installed: it becomes part of the packages that use it.
  const inlined = packages.filter(({ manifest }) => manifest.private === true)
  await Promise.all(packages.map(one => bundle(one, inlined)))
  await Promise.all(packages.map(one => inlineTypes(one, inlined)))
} catch (error) {
  // tsc and esbuild have said themselves what is wrong with the source.
  if (!(error instanceof SetupError) && !Array.isArray(error.errors)) throw error
  if (error instanceof SetupError) say(error.message)
  process.exitCode = 1
}

async function readPackages () {
  const names = await readdir(join(root, 'packages'))
  return await Promise.all(names.map(async name => {
    const folder = join(root, 'packages', name)
    return { name, folder, manifest: JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) }
  }))
}

/**
 * One file for each entry point. What several of the public ones share is in chunks, so that they share its state too;
 * a file that is loaded by its URL has a process or thread of its own, or comes before all others, and stands alone:
 * each chunk more takes about 1 ms of a start.
 */
async function bundle ({ folder, manifest }, inlined) {
  const { dependencies, peerDependencies } = manifest
  const options = {
    absWorkingDir: folder,
    outdir: 'dist',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // Beside the entry points, so that a URL relative to a module is the same in a chunk.
    chunkNames: '[name]-[hash]',
    sourcemap: true,
    external: Object.keys({ ...dependencies, ...peerDependencies }).flatMap(name => [name, `${name}/*`]),
    alias: Object.fromEntries(inlined.map(one => [one.manifest.name, join(one.folder, 'src/index.ts')])),
    metafile: true,
    logLevel: 'warning',
  }
  const entries = publicEntries(manifest)
  const results = await Promise.all([
    build({ ...options, entryPoints: entries.filter(entry => !isForBrowsers(entry)), splitting: true }),
    build({ ...options, entryPoints: await entriesLoadedByURL(folder) }),
    build({ ...options, entryPoints: entries.filter(isForBrowsers), minify: true, sourcemap: false, platform: 'neutral', target: 'es2022' }),
  ])
  for (const { metafile } of results) assertOwn(folder, metafile)
  const written = results.flatMap(({ metafile }) => Object.keys(metafile.outputs))
  await removeOthers(join(folder, 'dist'), new Set(written.map(path => join(folder, path))))
}

/** What a page can load as it is: one file, and small. */
function isForBrowsers ({ out }) {
  return out.startsWith('client/')
}

/** `dist/a/b.js` of `exports` and `bin`, under whatever condition, is built from `src/a/b.ts`. */
function publicEntries ({ exports, bin }) {
  const paths = [exports, bin].flatMap(targetsOf).map(file => /^(?:\.\/)?dist\/(.+)\.js$/.exec(file)?.[1]).filter(path => path !== undefined)
  return [...new Set(paths)].map(path => ({ in: `src/${path}.ts`, out: path }))
}

function targetsOf (target) {
  return typeof target === 'string' ? [target] : Object.values(target ?? {}).flatMap(targetsOf)
}

async function entriesLoadedByURL (folder) {
  const entries = new Map()
  for (const file of await filesBelow(join(folder, 'src'))) {
    for (const [, path] of (await readFile(file, 'utf8')).matchAll(LOADED_BY_URL)) {
      if (!/^[\w-]+\.js$/.test(path)) throw new SetupError(`${file} loads "${path}" by its URL: bundled, it is found only if it lies beside the module`)
      const name = path.slice(0, -'.js'.length)
      entries.set(name, { in: join(dirname(file), `${name}.ts`), out: name })
    }
  }
  return [...entries.values()]
}

/** The code of others belongs in `dependencies`: there its licence, its version and its faults are seen. */
function assertOwn (folder, { inputs }) {
  const foreign = Object.keys(inputs).filter(path => path.includes('node_modules/'))
  if (foreign.length > 0) throw new SetupError(`${folder} would bundle ${foreign.join(', ')}: name it in its dependencies`)
}

/** Chunks and modules of a build before. */
async function removeOthers (dist, written) {
  for (const file of await filesBelow(dist)) {
    if (/\.js(\.map)?$/.test(file) && !written.has(file)) await rm(file)
  }
}

/** Declarations that name a private package get a copy of its declarations. */
async function inlineTypes ({ folder }, inlined) {
  const dist = join(folder, 'dist')
  for (const one of inlined.filter(one => one.folder !== folder)) {
    const copy = join(dist, 'inlined', one.name)
    let isNamed = false
    for (const file of await filesBelow(dist)) {
      if (!file.endsWith('.d.ts') || file.startsWith(copy)) continue
      const text = await readFile(file, 'utf8')
      const path = relative(dirname(file), join(copy, 'index.js')).replaceAll('\\', '/')
      const local = text.replaceAll(new RegExp(`(['"])${one.manifest.name}\\1`, 'g'), `$1${path.startsWith('.') ? path : `./${path}`}$1`)
      if (local !== text) await writeFile(file, local)
      isNamed ||= local.includes(`inlined/${one.name}/index.js`)
    }
    if (isNamed) await copyTypes(join(one.folder, 'dist'), copy)
  }
}

async function copyTypes (from, to) {
  for (const file of await filesBelow(from)) {
    if (!file.endsWith('.d.ts')) continue
    const target = join(to, relative(from, file))
    await mkdir(dirname(target), { recursive: true })
    await copyFile(file, target)
  }
}

async function filesBelow (folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}
