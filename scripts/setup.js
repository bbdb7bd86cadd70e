// Installs and builds what is not installed and built yet. Runs before anything is installed: only Node's own modules.
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

const stamps = join(root, 'node_modules', '.fastkeep')
const workspaces = ['packages', 'examples']

/** A step failed; its own output has said why. */
export class SetupError extends Error {}

/** Installs and builds, each only if what it depends on has changed since it was last done. */
export function setUp () {
  const manifests = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', '.taprc', ...membersWith('package.json')]
  const installed = fingerprint(manifests)
  onceFor('install', installed, true, () => {
    say('installing the dependencies')
    const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    run('npx', ['--yes', packageManager, 'install', '--frozen-lockfile', '--config.confirm-modules-purge=false'])
    // Writes tap's own entry point for the plugins that .taprc names.
    run('node', [bin('tap/dist/esm/run.mjs'), 'build'])
  })
  const sources = [join('scripts', 'build.js'), 'tsconfig.json', 'tsconfig.base.json', ...membersWith('tsconfig.json'), ...membersWith('src').flatMap(filesBelow)]
  const isBuilt = membersWith('src').every(src => existsSync(join(root, src, '..', 'dist')))
  onceFor('build', installed + fingerprint(sources), isBuilt, () => {
    say('building the packages')
    run('node', [join('scripts', 'build.js')])
  })
}

/** The file of a program that a dependency of the workspace brings. */
export function bin (path) {
  return join(root, 'node_modules', path)
}

/** Runs a program in the workspace with its output shown. */
export function run (program, args) {
  const isNode = program === 'node'
  const { status, error } = spawnSync(isNode ? process.execPath : program, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: !isNode && process.platform === 'win32',
  })
  if (error !== undefined) throw new SetupError(`${program} could not be run: ${error.message}`)
  if (status !== 0) throw new SetupError(`${program} ${args.join(' ')} failed`)
}

export function say (line) {
  process.stderr.write(`fastkeep: ${line}\n`)
}

/** Does a step unless its result is there and its stamp bears this fingerprint. */
function onceFor (step, fingerprint, isThere, action) {
  const stamp = join(stamps, step)
  if (isThere && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) return
  action()
  mkdirSync(stamps, { recursive: true })
  writeFileSync(stamp, fingerprint)
}

function fingerprint (files) {
  const hash = createHash('sha256').update(process.version)
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

/** Paths like `packages/engine/src` of the workspace's members that have such a file or folder. */
function membersWith (name) {
  return workspaces
    .flatMap(folder => readdirSync(join(root, folder)).map(member => join(folder, member, name)))
    .filter(path => existsSync(join(root, path)))
    .sort()
}

function filesBelow (folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath.slice(root.length), entry.name))
    .sort()
}
