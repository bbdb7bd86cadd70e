import { mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { Engine, Autoreloader, type AutoreloaderOptions } from '@fastkeep/engine'
import { Child, plainEnvironment, runNode } from '../child.js'

const autoreloaded = new URL('fixtures/autoreloaded.js', import.meta.url)
const TSX = import.meta.resolve('tsx')

const PROGRAM = {
  'main.mjs': "import './constant.mjs'\nimport './sub/function.mjs'\nimport './common.cjs'\nimport 'dependency'\n",
  'constant.mjs': 'export const one = 1\n',
  'sub/function.mjs': 'export function two () { return 2 }\n',
  'common.cjs': "module.exports = require('./data.json')\n",
  'data.json': '{}\n',
  'node_modules/dependency/package.json': '{"main":"index.js"}\n',
  'node_modules/dependency/index.js': 'module.exports = 3\n',
  'lazy/import.mjs': 'export const four = 4\n',
  'lazy/require.cjs': 'module.exports = 5\n',
  'notes.txt': 'nothing\n',
  'never-loaded.mjs': 'export const six = 6\n',
}

interface Program {
  child: Child
  path: (file: string) => string
  /** Appends to a file. */
  change: (file: string) => void
  /** Resolves when the `count`th reload of these files, sorted, has been announced. */
  changed: (files: string, count?: number) => Promise<unknown>
}

function directoryWith (t: Test, files: Record<string, string>): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'fastkeep-autoreload-')))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
  return directory
}

async function program (t: Test, { sources = {}, args = [], ...options }: AutoreloaderOptions & { sources?: Record<string, string>, args?: string[] } = {}): Promise<Program> {
  const directory = directoryWith(t, { ...PROGRAM, ...sources })
  const path = (file: string): string => join(directory, file)
  const env = { ...plainEnvironment(), ROOT: directory, OPTIONS: JSON.stringify(options) }
  const child = new Child(t, process.execPath, ['--expose-gc', ...args, fileURLToPath(autoreloaded)], { env })
  await child.match(/ready\n/)
  return {
    child,
    path,
    change: file => writeFileSync(path(file), `${readFileSync(path(file), 'utf8')}\n`),
    changed: (names, count = 1) => child.match(new RegExp(`(?:changed ${names.replaceAll('.', '\\.')}\n[^]*?){${count}}(?:reloaded|error)`)),
  }
}

for (const file of ['main.mjs', 'constant.mjs', 'sub/function.mjs', 'common.cjs', 'data.json']) {
  test(`a change of ${file}, which the process has loaded, reloads it`, async t => {
    const { child, change, changed } = await program(t)
    change(file)
    await changed(file)
    t.equal(child.output, `ready\nchanged ${file}\nreloaded\n`)
  })
}

test('files that are not loaded, that are in node_modules or ignored, and times alone of nothing new, reload nothing', async t => {
  const { child, change, changed, path } = await program(t, { ignore: ['sub'] })
  for (const file of ['never-loaded.mjs', 'notes.txt', 'node_modules/dependency/index.js', 'sub/function.mjs']) change(file)
  writeFileSync(path('new.mjs'), '')
  unlinkSync(path('new.mjs'))
  change('constant.mjs')
  await changed('constant.mjs')
  t.equal(child.output, 'ready\nchanged constant.mjs\nreloaded\n')
})

test('only files in the root count', async t => {
  const outside = directoryWith(t, { 'outside.mjs': '' })
  const { child, change, changed } = await program(t, { sources: { 'main.mjs': `import '${outside}/outside.mjs'\nimport './constant.mjs'\n` } })
  writeFileSync(join(outside, 'outside.mjs'), '\n')
  change('constant.mjs')
  await changed('constant.mjs')
  t.equal(child.output, 'ready\nchanged constant.mjs\nreloaded\n')
})

test('a file that is replaced, as editors do, that is touched, or that is removed, has changed', async t => {
  const { path, changed } = await program(t)
  writeFileSync(path('constant.mjs.new'), PROGRAM['constant.mjs'])
  renameSync(path('constant.mjs.new'), path('constant.mjs'))
  await changed('constant.mjs')
  utimesSync(path('sub/function.mjs'), new Date(), new Date())
  await changed('sub/function.mjs')
  unlinkSync(path('common.cjs'))
  await changed('common.cjs')
  writeFileSync(path('common.cjs'), '')
  await changed('common.cjs', 2)
})

test('many changes at a time are one reload', async t => {
  const { child, change, changed } = await program(t)
  for (let i = 0; i < 20; i++) change('constant.mjs')
  change('common.cjs')
  await changed('common.cjs constant.mjs')
  change('main.mjs')
  await changed('main.mjs')
  t.equal(child.output.match(/reloaded/g)?.length, 2)
})

test('a directory that is removed and made again is watched again', async t => {
  const { path, change, changed } = await program(t, { sources: { 'main.mjs': "import './deep/er/function.mjs'\n", 'deep/er/function.mjs': '' } })
  rmSync(path('deep/er'), { recursive: true })
  mkdirSync(path('deep/er'))
  writeFileSync(path('deep/er/function.mjs'), 'export const one = 1\n')
  await changed('deep/er/function.mjs')
  change('deep/er/function.mjs')
  await changed('deep/er/function.mjs', 2)
})

test('after a reload that failed the process goes on, and a file that it has not loaded may mend it', async t => {
  const { child, path, change, changed } = await program(t)
  writeFileSync(path('broken'), '')
  change('main.mjs')
  await changed('main.mjs')
  await child.match(/error FST_KEEP_ENGINE_AUTORELOAD_FAILED .*the process that runs goes on: the new version is broken\n/)
  unlinkSync(path('broken'))
  change('notes.txt')
  change('never-loaded.mjs')
  await changed('never-loaded.mjs')
  await child.match(/reloaded\n/)
  change('never-loaded.mjs')
  change('main.mjs')
  await changed('main.mjs', 2)
  t.equal(child.output.match(/never-loaded/g)?.length, 1, 'after a reload that succeeded only what is loaded counts')
})

test('what is loaded while the service runs counts too', async t => {
  const { child, change, changed } = await program(t)
  child.kill('SIGUSR2')
  await child.match(/loaded more\n/)
  if (process.versions.node.startsWith('20.')) {
    // It does not tell of loads: there the change of another file has them found.
    change('constant.mjs')
    await changed('constant.mjs')
  } else {
    // That they have been found is no event; it takes 100 ms.
    await delay(400)
  }
  change('lazy/import.mjs')
  change('lazy/require.cjs')
  await changed('lazy/import.mjs lazy/require.cjs')
})

test('files that are not modules count if they are named, relative to the root', async t => {
  const { path, change, changed } = await program(t, { files: ['notes.txt', 'settings.env'] })
  change('notes.txt')
  await changed('notes.txt')
  writeFileSync(path('settings.env'), 'it was not there before')
  await changed('settings.env')
})

test('after the stop of the bus nothing is watched', async t => {
  const { child, change } = await program(t)
  child.kill('SIGHUP')
  await child.match(/stopped\n/)
  change('constant.mjs')
  // That nothing happens is no event; what would happen takes 100 ms.
  await delay(400)
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
  t.notMatch(child.output, /changed/)
})

test('sources that a loader transpiles count under their own name', async t => {
  const { change, changed } = await program(t, { args: [`--import=${TSX}`], sources: { 'main.mjs': "import './typed.ts'\n", 'typed.ts': 'export const one: number = 1\n' } })
  change('typed.ts')
  await changed('typed.ts')
})

test('by default the process is replaced by one that runs the new code; a broken one is not, until it is mended', async t => {
  const ROOT = directoryWith(t, { 'message.mjs': "export const message = 'one'\n" })
  const write = (text: string): void => writeFileSync(join(ROOT, 'message.mjs'), text)
  const pids: number[] = []
  t.teardown(() => { for (const pid of pids) killIfThere(pid) })
  const child = runNode(t, new URL('fixtures/autoreload-service.js', import.meta.url), { ROOT })
  const serves = async (message: string): Promise<string> => {
    const [, pid, url] = await child.match(new RegExp(`(\\d+) serves ${message} on (http:\\S+)`)) as unknown as [string, string, string]
    if (pids.length > 0) await child.match(new RegExp(`${pids.at(-1)} exits`))
    pids.push(Number(pid))
    t.equal(await answerOf(url), message)
    return url
  }
  const url = await serves('one')
  write("export const message = 'two'\n")
  t.equal(await serves('two'), url, 'on the same port')
  write('export const message =\n')
  await child.match(/FST_KEEP_ENGINE_AUTORELOAD_FAILED/)
  t.equal(await answerOf(url), 'two')
  write("export const message = 'three'\n")
  t.equal(await serves('three'), url)
  t.equal(new Set(pids).size, 3)
  process.kill(pids.at(-1) as number, 'SIGTERM')
  await child.ended
})

test('it is refused in production, and so are wrong options', t => {
  const engine = Object.assign(new Engine(), { reload: async () => {} })
  const { NODE_ENV } = process.env
  t.teardown(() => {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = NODE_ENV
  })
  process.env.NODE_ENV = 'development'
  for (const options of [{ root: '' }, { ignore: 'dist' }, { files: [''] }, { reload: true }]) {
    t.throws(() => new Autoreloader(engine, options as unknown as AutoreloaderOptions), { code: 'FST_KEEP_ENGINE_OPTION_INVALID', exitCode: 78 })
  }
  t.throws(() => new Autoreloader(engine, { frequency: 1 } as AutoreloaderOptions), { code: 'FST_KEEP_ENGINE_OPTION_UNKNOWN' })
  process.env.NODE_ENV = 'production'
  t.throws(() => new Autoreloader(engine), { code: 'FST_KEEP_ENGINE_AUTORELOAD_REFUSED', exitCode: 78, message: /NODE_ENV is "production"/ })
  t.end()
})

/** On a connection of its own: one that is kept alive goes on with the process that it began with. */
async function answerOf (url: string): Promise<string> {
  return await (await fetch(url, { headers: { connection: 'close' } })).text()
}

function killIfThere (pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
