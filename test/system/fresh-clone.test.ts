import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, chmod, chown, copyFile, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test, type Test } from 'tap'
import { Child, plainEnvironment } from '../child.js'
import { needs, needsRoot } from '../programs.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const NOBODY = 65_534

interface Clone {
  cwd: string
  env: NodeJS.ProcessEnv
  uid: number | undefined
}

/** A copy of what git would clone, in a folder with spaces in its path; for another user with a home of their own. */
async function freshClone (t: Test, uid?: number): Promise<Clone> {
  const scratch = await mkdtemp(join(tmpdir(), 'fastkeep clone '))
  t.teardown(() => rm(scratch, { recursive: true, force: true }))
  const cwd = join(scratch, 'a folder with spaces')
  const home = join(scratch, 'home')
  await mkdir(home)
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
  for (const file of stdout.split('\0').filter(Boolean)) {
    await mkdir(dirname(join(cwd, file)), { recursive: true })
    await copyFile(join(root, file), join(cwd, file)).catch(ignoreMissing)
  }
  // The real dependencies come from where pnpm keeps them, or from the registry for a user who never had them.
  if (uid === undefined) return { cwd, env: { ...plainEnvironment(), PORT: '0' }, uid }
  await chmod(scratch, 0o755)
  for (const path of [cwd, home, ...(await readdir(cwd, { recursive: true })).map(name => join(cwd, name))]) await chown(path, uid, uid)
  return { cwd, env: { ...plainEnvironment(), HOME: home, npm_config_cache: join(home, '.npm'), PORT: '0' }, uid }
}

/** A file that git still lists and somebody has just removed. */
function ignoreMissing (error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

function npm (t: Test, { cwd, env, uid }: Clone, args: string[], more: NodeJS.ProcessEnv = {}): Child {
  const user = uid === undefined ? {} : { uid, gid: uid }
  return new Child(t, 'npm', args, { cwd, env: { ...env, ...more }, ...user, detached: true })
}

async function answers (child: Child): Promise<string> {
  const [, url] = await child.match(/Open {3}(https:\S+)/) as unknown as [string, string]
  const request = https.get(url, { rejectUnauthorized: false, agent: false })
  const [response] = await once(request, 'response') as [{ statusCode: number, resume: () => void }]
  response.resume()
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`)
  return url
}

/** Ctrl-C: the terminal signals npm and the server alike. Ended are both when nobody holds their output any more. */
async function stopped (child: Child): Promise<void> {
  process.kill(-child.pid, 'SIGINT')
  await child.ended
}

test('npm start in a fresh clone installs, builds, makes a certificate and serves; the next ones do only what is needed', { skip: needs('git') }, async t => {
  const clone = await freshClone(t)
  const first = npm(t, clone, ['start'])
  await answers(first)
  t.match(first.output, /fastkeep: installing the dependencies\n[^]*fastkeep: building the packages\n/)
  await stopped(first)
  const local = join(clone.cwd, 'examples/quickstart/local')
  for (const file of ['key.pem', 'session.key']) t.equal((await stat(join(local, file))).mode & 0o777, 0o600, file)
  const { stdout: untracked } = await run('git', ['-C', root, 'check-ignore', '--no-index', 'examples/quickstart/local/key.pem'])
  t.ok(untracked, 'the key is outside git')

  const second = npm(t, clone, ['start'])
  await answers(second)
  t.notMatch(second.output, /installing|building/)
  await stopped(second)

  await appendFile(join(clone.cwd, 'examples/quickstart/src/main.ts'), '\nexport const edited = true\n')
  const third = npm(t, clone, ['start'])
  await answers(third)
  t.match(third.output, /building/)
  t.notMatch(third.output, /installing/)
  await stopped(third)

  await rm(join(clone.cwd, 'packages/engine/dist'), { recursive: true })
  const fourth = npm(t, clone, ['start'])
  await answers(fourth)
  t.match(fourth.output, /building/, 'what was built and is gone is built again')
  await stopped(fourth)

  await t.test('a port that is taken: one clear line of ours before npm\'s own, and code 71', async t => {
    const other = net.createServer().listen(0, '127.0.0.1')
    t.teardown(() => other.close())
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const refused = npm(t, clone, ['start'], { PORT: String(port) })
    t.match(await refused.ended, { code: 71 })
    t.match(refused.output.split('\n').filter(line => line.startsWith('fastkeep:')), [
      new RegExp(`^fastkeep: cannot start: Server: cannot listen on 127.0.0.1:${port}: .+ listens on port ${port} already; stop it or choose another port$`),
    ])
    t.notMatch(refused.output, / at .*\.js:\d+/, 'no stack')
  })

  await t.test('a source that does not compile: the compiler says why, nothing is served', async t => {
    await appendFile(join(clone.cwd, 'examples/quickstart/src/main.ts'), '\nconst broken: number = "text"\n')
    const broken = npm(t, clone, ['start'])
    t.match(await broken.ended, { code: 70 })
    t.match(broken.output, /error TS/)
  })
})

test('an ordinary user starts it, and tests it twice in a row; the last line counts', { skip: needs('git') || needsRoot() }, async t => {
  const clone = await freshClone(t, NOBODY)
  const child = npm(t, clone, ['start'])
  await answers(child)
  await stopped(child)
  for (let time = 0; time < 2; time++) {
    const tests = npm(t, clone, ['test', '--', 'test/options/check-options.test.ts'])
    t.match(await tests.ended, { code: 0 })
    t.match(tests.output, /\n[1-9]\d* passed, 0 failed, 0 skipped\n$/)
  }
})

test('a failing test makes npm test fail, and the last line still counts', { skip: needs('git') }, async t => {
  const clone = await freshClone(t)
  await appendFile(join(clone.cwd, 'test/options/check-options.test.ts'), '\ntest(\'wrong\', async t => { t.equal(1, 2) })\ntest(\'left out\', { skip: \'redis-server is not installed\' }, async () => {})\n')
  const tests = npm(t, clone, ['test', '--', 'test/options/check-options.test.ts'])
  t.match(await tests.ended, { code: 1 })
  t.match(tests.output, /not ok - test\/options\/check-options\.test\.ts > wrong/)
  t.match(tests.output, /skipped - test\/options\/check-options\.test\.ts > left out: redis-server is not installed/)
  t.match(tests.output, /\n[1-9]\d* passed, 1 failed, 1 skipped\n[^]*$/)
})
