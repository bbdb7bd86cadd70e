import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync,
  symlinkSync, utimesSync, writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { Engine, PIDFile, isHeldBy, readPIDFile } from '@fastkeep/engine'
import { runningProcess, startTimeByPs } from '../../packages/engine/src/plugins/process-start-time.js'
import { Child, runNode } from '../child.js'
import { needs, needsRoot } from '../programs.js'
import { asOrdinaryUser, deadPID, PIDFileProcess, place, underLimit, UNUSABLE } from './pid-file-process.js'

const service = new URL('fixtures/pid-file-service.js', import.meta.url)
const HOUR = 3_600

test('the file has one line with the PID, mode 0644 whatever the umask, is there from start to exit, and nothing else ever stays', async t => {
  const { directory, path } = place(t)
  const child = new PIDFileProcess(t, path, { env: { UMASK: '63' } })
  t.equal(await child.tell('start'), 'done')
  t.equal(readFileSync(path, 'utf8'), `${child.pid}\n`)
  t.equal(statSync(path).mode & 0o7777, 0o644)
  t.same(readdirSync(directory), ['app.pid'])
  t.same(readPIDFile(path), { state: 'running', pid: child.pid })
  t.equal(await child.tell('exit'), 'done')
  t.same(readdirSync(directory), [])
  t.same(readPIDFile(path), { state: 'absent' })
})

test('a stop and a start keep the very same file', async t => {
  const { path } = place(t)
  const child = new PIDFileProcess(t, path)
  await child.tell('start')
  const { ino } = statSync(path)
  await child.tell('stop')
  t.same(readPIDFile(path), { state: 'running', pid: child.pid })
  t.equal(await child.tell('start'), 'done')
  t.equal(statSync(path).ino, ino)
})

test('a second instance ends with code 73 and one line that names the first, whose file it leaves alone', async t => {
  const { directory, path } = place(t)
  const first = runNode(t, service, { PID_FILE: path })
  await first.match(/ready/)
  const { ino } = statSync(path)
  const second = runNode(t, service, { PID_FILE: path })
  t.same(await second.ended, { code: 73, signal: null })
  t.equal(second.output, `fastkeep: cannot start: PIDFile: PID file ${path}: process ${first.pid} runs; stop that instance, or give this one a PID file of its own\n`)
  t.equal(statSync(path).ino, ino)
  t.same(readPIDFile(path), { state: 'running', pid: first.pid })
  t.same(readdirSync(directory), ['app.pid'])
  first.kill('SIGTERM')
  t.same(await first.ended, { code: 0, signal: null })
  t.notOk(existsSync(path))
})

test('two PID files of one process exclude each other too', async t => {
  const { path } = place(t)
  const first = new PIDFile(new Engine(), path)
  await first.claim()
  await t.rejects(new PIDFile(new Engine(), path).claim(), { code: 'FST_KEEP_ENGINE_PID_FILE_HELD', exitCode: 73 })
  first.release()
  t.notOk(existsSync(path))
})

test('after kill -9 the file is stale, and the next start replaces it and says so', async t => {
  const { directory, path } = place(t)
  const first = new PIDFileProcess(t, path)
  await first.tell('start')
  first.kill('SIGKILL')
  await first.ended
  t.same(readPIDFile(path), { state: 'stale', pid: first.pid, reason: `process ${first.pid} does not exist` })
  const second = new PIDFileProcess(t, path)
  t.equal(await second.tell('start'), 'done')
  t.match(second.output, `PID file ${path} was stale: process ${first.pid} does not exist\n`)
  t.same(readPIDFile(path), { state: 'running', pid: second.pid })
  t.same(readdirSync(directory), ['app.pid'])
})

test('stale by rule: empty, the number of a younger process, of a zombie, of this very process', async t => {
  const { path } = place(t)
  const claimer = new PIDFile(new Engine(), path)
  const replaced = async (state: object): Promise<void> => {
    t.match(readPIDFile(path), { state: 'stale', ...state })
    await claimer.claim()
    t.same(readPIDFile(path), { state: 'running', pid: process.pid })
    claimer.release()
  }
  for (const content of ['', '\n']) {
    writeFileSync(path, content)
    await replaced({ pid: undefined, reason: 'it is empty' })
  }

  const long = Date.now() / 1000 - HOUR
  writeFileSync(path, `${process.ppid}\n`)
  utimesSync(path, long, long)
  await replaced({ pid: process.ppid, reason: /^process \d+ started after the file was written/ })

  const unreaping = new Child(t, 'sh', ['-c', 'sleep 0.1 & echo "zombie $!"; exec sleep 60'])
  const zombie = Number((await unreaping.match(/zombie (\d+)/))[1])
  while (/^State:\s+Z/m.exec(readFileSync(`/proc/${zombie}/status`, 'utf8')) === null) await setImmediate()
  writeFileSync(path, `${zombie}\n`)
  await replaced({ pid: zombie, reason: `process ${zombie} does not exist` })

  writeFileSync(path, `${process.pid}\n`)
  await claimer.claim()
  t.same(readPIDFile(path), { state: 'running', pid: process.pid })
  claimer.release()
})

test('a process that is older than the file keeps it even without a lock: another program may have written it', async t => {
  const { path } = place(t)
  const other = new Child(t, 'sleep', ['60'])
  writeFileSync(path, `${other.pid}`)
  t.same(readPIDFile(path), { state: 'running', pid: other.pid })
  t.notOk(isHeldBy(path, other.pid), 'on the word of the file alone nobody is signalled')
  await t.rejects(new PIDFile(new Engine(), path).claim(), { code: 'FST_KEEP_ENGINE_PID_FILE_HELD', message: new RegExp(`process ${other.pid} runs`) })
  t.equal(readFileSync(path, 'utf8'), `${other.pid}`)
})

test('a lock that outlives its owner keeps others out, and the refusal says that the file does not name who has it', async t => {
  const { path } = place(t)
  const owner = new PIDFileProcess(t, path)
  await owner.tell('start')
  await owner.tell('leak')
  const heir = Number((await owner.match(/leaked to (\d+)/))[1])
  t.teardown(() => { process.kill(heir) })
  owner.kill('SIGKILL')
  await owner.ended
  const next = new PIDFile(new Engine(), path)
  await t.rejects(next.claim(), { code: 'FST_KEEP_ENGINE_PID_FILE_HELD', message: new RegExp(`process ${owner.pid} does not exist, yet a process that it does not name has locked it`) })
  t.equal(readFileSync(path, 'utf8'), `${owner.pid}\n`)
})

test('what is not a PID file is refused and left as it is', async t => {
  const { directory, path } = place(t)
  const target = join(directory, 'target')
  const forms: Record<string, { make: () => unknown, says: RegExp, look: () => unknown }> = {
    'a symbolic link': { make: () => symlinkSync(target, path), says: /symbolic link/, look: () => [readlinkSync(path), readFileSync(target, 'utf8')] },
    'a dangling symbolic link': { make: () => symlinkSync(`${target}-none`, path), says: /symbolic link/, look: () => [readlinkSync(path), existsSync(`${target}-none`)] },
    'a hard link': { make: () => linkSync(target, path), says: /hard link/, look: () => [statSync(target).nlink, readFileSync(path, 'utf8')] },
    'a directory': { make: () => mkdirSync(path), says: /a directory/, look: () => readdirSync(path) },
    'a FIFO': { make: () => once(spawn('mkfifo', [path]), 'close'), says: /a FIFO/, look: () => lstatSync(path).isFIFO() },
    'a socket': { make: () => listenOn(t, path), says: /a socket/, look: () => lstatSync(path).isSocket() },
    'a text': { make: () => writeFileSync(path, 'secret text\n'), says: /something else in it than a PID/, look: () => readFileSync(path, 'utf8') },
    'a long number': { make: () => writeFileSync(path, '1'.repeat(100)), says: /something else/, look: () => readFileSync(path, 'utf8') },
    'a PID that cannot be': { make: () => writeFileSync(path, '2147483648\n'), says: /something else/, look: () => readFileSync(path, 'utf8') },
    'a negative number': { make: () => writeFileSync(path, '-1\n'), says: /something else/, look: () => readFileSync(path, 'utf8') },
    'two numbers': { make: () => writeFileSync(path, '1\n2\n'), says: /something else/, look: () => readFileSync(path, 'utf8') },
    'blanks without end': { make: () => writeFileSync(path, ' '.repeat(1000)), says: /something else/, look: () => readFileSync(path, 'utf8') },
  }
  for (const [name, { make, says, look }] of Object.entries(forms)) {
    await t.test(name, async t => {
      writeFileSync(target, '1\n')
      await once(spawn('rm', ['-rf', path]), 'close')
      await make()
      const before = { seen: look(), names: readdirSync(directory), ino: lstatSync(path).ino }
      await t.rejects(new PIDFile(new Engine(), path).claim(), { code: 'FST_KEEP_ENGINE_PID_FILE_REFUSED', exitCode: 73, message: says })
      t.throws(() => readPIDFile(path), { code: 'FST_KEEP_ENGINE_PID_FILE_REFUSED', message: says })
      t.same({ seen: look(), names: readdirSync(directory), ino: lstatSync(path).ino }, before)
    })
  }
  t.throws(() => new PIDFile(new Engine(), ''), { code: 'FST_KEEP_ENGINE_PID_FILE_REFUSED' })
})

async function listenOn (t: Test, path: string): Promise<void> {
  const server = createServer().listen(path)
  t.teardown(() => server.close())
  await once(server, 'listening')
}

test('the second name that a start leaves when it is killed between its two names does not make the file a refused one', async t => {
  const { directory, path } = place(t)
  const pid = await deadPID()
  const draft = join(directory, `.app.pid.${pid}-0123456789abcdef.tmp`)
  writeFileSync(draft, `${pid}\n`)
  linkSync(draft, path)
  t.match(readPIDFile(path), { state: 'stale', pid })
  const next = new PIDFile(new Engine(), path)
  await next.claim()
  t.same(readdirSync(directory), ['app.pid'])
  next.release()
})

test('only what is still one\'s own is removed: a file that was replaced, or names another process, stays', async t => {
  const { path } = place(t)
  const first = new PIDFile(new Engine(), path)
  await first.claim()
  await once(spawn('rm', [path]), 'close')
  const second = new PIDFileProcess(t, path)
  await second.tell('start')
  first.release()
  t.same(readPIDFile(path), { state: 'running', pid: second.pid })
  await second.tell('exit')

  const third = new PIDFile(new Engine(), path)
  await third.claim()
  writeFileSync(path, '1\n')
  third.release()
  t.equal(readFileSync(path, 'utf8'), '1\n')
})

test('a disk that takes no byte, a directory that is not there, or none of one\'s own: code 73, what to do, and nothing left behind', async t => {
  const { directory, path } = place(t)
  const full = new PIDFileProcess(t, path, underLimit('ulimit -f 0'))
  t.equal(await full.tell('start'), UNUSABLE)
  t.match(full.output, `PID file ${path} cannot be made: the limit on the size of files (ulimit -f) does not allow it`)
  t.same(readdirSync(directory), [])

  const lost = join(directory, 'none', 'app.pid')
  const noDirectory = new PIDFileProcess(t, lost)
  t.equal(await noDirectory.tell('start'), UNUSABLE)
  t.match(noDirectory.output, `PID file ${lost} cannot be made: the directory ${join(directory, 'none')} does not exist; create it first`)

  writeFileSync(path, `${await deadPID()}\n`)
  const content = readFileSync(path, 'utf8')
  chmodSync(directory, 0o555)
  const unwritable = new PIDFileProcess(t, path, asOrdinaryUser)
  t.equal(await unwritable.tell('start'), UNUSABLE)
  t.match(unwritable.output, `PID file ${path} cannot be made: no permission for this user; choose a directory that the service may write to`)
  t.same(readdirSync(directory), ['app.pid'])
  t.equal(readFileSync(path, 'utf8'), content)
  chmodSync(directory, 0o755)
})

test('a directory that may be written to and not be listed is good enough', async t => {
  const { directory, path } = place(t)
  chmodSync(directory, 0o333)
  const child = new PIDFileProcess(t, path, asOrdinaryUser)
  t.equal(await child.tell('start'), 'done')
  chmodSync(directory, 0o777)
  t.same(readdirSync(directory), ['app.pid'])
  t.equal(await child.tell('exit'), 'done')
  t.same(readdirSync(directory), [])
})

for (const [which, mode] of [['remove', 0o755], ['see', 0o700]] as const) {
  test(`a process that has dropped its privileges empties the file that it cannot ${which} any more, and the next start succeeds`, { skip: needsRoot() }, async t => {
    const { directory, path } = place(t)
    chmodSync(directory, mode)
    const child = new PIDFileProcess(t, path)
    await child.tell('start')
    await child.tell('drop')
    t.equal(statSync(path).uid, 0, 'the file stays root\'s')
    t.equal(await child.tell('exit'), 'done')
    t.match(child.output, `PID file ${path} emptied`)
    t.equal(readFileSync(path, 'utf8'), '')
    t.same(readPIDFile(path), { state: 'stale', reason: 'it is empty' })
    const next = new PIDFileProcess(t, path)
    t.equal(await next.tell('start'), 'done')
    t.same(readdirSync(directory), ['app.pid'])
  })
}

test('a process is signalled as the owner only if it holds the file, so that nobody can have another one killed by writing its number', async t => {
  const { path } = place(t)
  t.notOk(isHeldBy(path, process.pid), 'no file')
  const bystander = new Child(t, 'sleep', ['60'])
  const owner = new PIDFileProcess(t, path)
  await owner.tell('start')
  t.ok(isHeldBy(path, owner.pid))
  t.notOk(isHeldBy(path, bystander.pid))
  writeFileSync(path, `${bystander.pid}\n`)
  t.notOk(isHeldBy(path, bystander.pid))
  t.notOk(isHeldBy(path, owner.pid))
  writeFileSync(path, `${owner.pid}\n`)
  t.ok(isHeldBy(path, owner.pid))
  const long = Date.now() / 1000 - HOUR
  utimesSync(path, long, long)
  t.notOk(isHeldBy(path, owner.pid), 'older than its process')
  t.same(readPIDFile(path), { state: 'running', pid: owner.pid }, 'as after a clock that was set: the lock says that it runs')
})

test('the start time of a process is the same by /proc and by ps', { skip: process.platform === 'linux' ? needs('ps') : 'only Linux has both' }, async t => {
  const startedAt = runningProcess(process.pid)?.startedAt as number
  const now = Date.now()
  t.ok(startedAt > now - process.uptime() * 1000 - 2000 && startedAt < now, `started ${now - startedAt} ms ago`)
  t.ok(Math.abs(startedAt - (startTimeByPs(process.pid) as number)) <= 1000)
  const dead = await deadPID()
  t.equal(runningProcess(dead), undefined)
  t.equal(startTimeByPs(dead), undefined)
})
