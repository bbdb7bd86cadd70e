import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import tap, { test } from 'tap'
import { plainEnvironment } from '../child.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const env = plainEnvironment()

interface Manifest { name: string, version: string, private?: boolean, packageManager: string }

async function manifestOf (folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
}

/** `npx` finds the workspace's pnpm, which nobody has to install. */
async function pnpm (cwd: string, ...args: string[]): Promise<string> {
  const { packageManager } = await manifestOf(root)
  const { stdout } = await run('npx', ['--yes', packageManager, ...args], { cwd, env, maxBuffer: 1 << 26 })
  return stdout
}

const folders: string[] = []
for (const name of await readdir(join(root, 'packages'))) {
  const folder = join(root, 'packages', name)
  if ((await manifestOf(folder)).private !== true) folders.push(folder)
}
const scratch = await mkdtemp(join(tmpdir(), 'fastkeep packages '))
const tarballs = join(scratch, 'tarballs')
await mkdir(tarballs)
await pnpm(root, '--recursive', '--filter', './packages/*', 'pack', '--pack-destination', tarballs)

function tarballOf ({ name, version }: Manifest): string {
  return join(tarballs, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)
}

for (const folder of folders) {
  const manifest = await manifestOf(folder)

  test(`${manifest.name}: publint has nothing to say about its tarball`, async t => {
    const buffer = await readFile(tarballOf(manifest))
    const { messages, pkg } = await publint({ pack: { tarball: buffer.buffer as ArrayBuffer }, strict: true })
    t.same(messages.map(message => formatMessage(message, pkg as Record<string, unknown>)), [])
  })

  test(`${manifest.name}: its types are right for import and for require()`, async t => {
    // Our packages are ESM, which require() takes on every Node that they support.
    const attw = join(root, 'node_modules', '.bin', 'attw')
    await t.resolves(run(attw, [tarballOf(manifest), '--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm'], { env }))
  })

  test(`${manifest.name}: its tarball holds a readme, built code, and nothing of the workspace`, async t => {
    const { stdout } = await run('tar', ['-tzf', tarballOf(manifest)])
    const files = stdout.trim().split('\n')
    t.ok(files.includes('package/README.md'))
    t.ok(files.includes('package/LICENSE'))
    t.ok(files.includes('package/dist/index.js'))
    t.ok(files.includes('package/dist/index.d.ts'))
    t.same(files.filter(file => /tsbuildinfo|node_modules|\.env/.test(file)), [])
    t.ok(files.filter(file => file.endsWith('.js')).length < 20, 'its modules are bundled')
    const { stdout: packed } = await run('tar', ['-xzOf', tarballOf(manifest), 'package/package.json'])
    t.notMatch(packed, 'workspace:')
  })
}

test('a project of its own installs the tarballs and uses each through import, require() and its types', async t => {
  const consumer = join(scratch, 'consumer')
  await cp(fileURLToPath(new URL('fixtures/consumer', import.meta.url)), consumer, { recursive: true })
  const manifest = JSON.parse(await readFile(join(consumer, 'package.json'), 'utf8')) as { dependencies: Record<string, string>, pnpm?: object }
  const own = Object.fromEntries((await Promise.all(folders.map(manifestOf))).map(one => [one.name, `file:${tarballOf(one)}`]))
  Object.assign(manifest.dependencies, own)
  manifest.pnpm = { overrides: own }
  await writeFile(join(consumer, 'package.json'), JSON.stringify(manifest))
  await pnpm(consumer, 'install', '--ignore-workspace', '--prefer-offline', '--no-frozen-lockfile')

  const viaImport = await run(process.execPath, ['import.mjs'], { cwd: consumer, env })
  t.equal(viaImport.stdout, 'all packages answered through import\n')
  const viaRequire = await run(process.execPath, ['require.cjs'], { cwd: consumer, env: { ...env, NODE_NO_WARNINGS: '1' } })
  t.equal(viaRequire.stdout, 'all packages answered through require\n')
  await t.resolves(run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: consumer, env }).catch((error: { stdout: string }) => {
    throw new Error(error.stdout)
  }))
})

tap.teardown(() => rm(scratch, { recursive: true }))
