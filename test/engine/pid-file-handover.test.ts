import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, existsSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { test } from 'tap'
import { Engine, PIDFile, isHeldBy, readPIDFile } from '@fastkeep/engine'
import { needsRoot } from '../programs.js'
import { HELD, PIDFileProcess, place, UNUSABLE } from './pid-file-process.js'

/** Starts a successor, which reads its commands from the predecessor's standard input from then on. */
async function handOver (predecessor: PIDFileProcess): Promise<void> {
  await predecessor.tell('hand')
  await predecessor.match(/listening to commands[^]*listening to commands/)
}

/** All that a reader sees in a file while something is done. */
async function seenDuring (path: string, action: Promise<unknown>): Promise<string[]> {
  const seen = new Set<string>()
  const progress = { isDone: false }
  const done = action.finally(() => { progress.isDone = true })
  while (!progress.isDone) {
    seen.add(readFileSync(path, 'utf8'))
    await setImmediate()
  }
  await done
  return [...seen]
}

test('a successor takes over without a moment in which the file is missing, names nobody or can be claimed, and the predecessor leaves it alone', async t => {
  const { directory, path } = place(t)
  const predecessor = new PIDFileProcess(t, path)
  await predecessor.tell('start')
  await handOver(predecessor)
  t.same(readPIDFile(path), { state: 'running', pid: predecessor.pid })

  const others = Array.from({ length: 4 }, () => new PIDFileProcess(t, path))
  await Promise.all(others.map(other => other.match(/listening/)))
  const claims = async (other: PIDFileProcess): Promise<string[]> => {
    const outcomes = []
    for (let count = 0; count < 5; count++) outcomes.push(await other.tell('claim'))
    return outcomes
  }
  const claiming = Promise.all(others.map(claims))
  const seen = await seenDuring(path, Promise.all([predecessor.tell('start'), claiming]))
  const successor = Number(/PID (\d+) took over/.exec(predecessor.output)?.[1])
  t.not(successor, predecessor.pid)
  t.same(new Set(seen), new Set([`${predecessor.pid}\n`, `${successor}\n`]))
  t.same(new Set((await claiming).flat()), new Set([HELD]))
  t.same(readPIDFile(path), { state: 'running', pid: successor })
  t.ok(isHeldBy(path, successor))

  predecessor.kill('SIGTERM')
  await predecessor.match(/predecessor gone/)
  t.match(predecessor.output, `PID file ${path} is another process's now: left alone`)
  t.same(readPIDFile(path), { state: 'running', pid: successor })
  t.ok(isHeldBy(path, successor))
  t.equal(await predecessor.tell('exit'), 'done')
  t.same(readdirSync(directory), [])
})

test('a successor that fails before it is ready leaves its predecessor the file and the lock', async t => {
  const { directory, path } = place(t)
  for (const channel of ['start', 'ready']) {
    const predecessor = new PIDFileProcess(t, path, { env: { FAIL_SUCCESSOR: channel } })
    await predecessor.tell('start')
    await handOver(predecessor)
    t.match(await predecessor.tell('start'), /refused/)
    t.match(predecessor.output, `${channel} is broken`)
    t.equal(await predecessor.tell('exit'), 'done')
    t.same(readPIDFile(path), { state: 'running', pid: predecessor.pid })
    t.ok(isHeldBy(path, predecessor.pid))
    t.same(readdirSync(directory), ['app.pid'])
    predecessor.kill('SIGTERM')
    await predecessor.match(/predecessor gone/)
    t.same(readdirSync(directory), [])
  }
})

test('a successor that dies after it took over: the predecessor claims again, and keeps what it has', async t => {
  const { path } = place(t)
  const predecessor = new PIDFile(new Engine(), path)
  await predecessor.claim()
  t.equal(typeof predecessor.fd, 'number')
  const successor = new PIDFileProcess(t, path, { env: { INHERITED_FD: '3' }, extraStdio: [predecessor.fd] })
  t.equal(await successor.tell('start'), 'done')
  t.same(readPIDFile(path), { state: 'running', pid: successor.pid })
  successor.kill('SIGKILL')
  await successor.ended
  await predecessor.claim()
  t.same(readPIDFile(path), { state: 'running', pid: process.pid })
  const { ino } = statSync(path)
  await predecessor.claim()
  t.equal(statSync(path).ino, ino)
  predecessor.release()
  t.notOk(existsSync(path))
})

test('a successor with a descriptor that is not the file, or does not hold it, is refused; without a file it claims', async t => {
  const { directory, path } = place(t)
  const owner = new PIDFile(new Engine(), path)
  await owner.claim()
  const env = { INHERITED_FD: '3' }
  const foreign = openSync(join(directory, 'other'), 'w+')
  const unlocked = openSync(path, 'r+')
  for (const fd of [foreign, unlocked]) {
    const successor = new PIDFileProcess(t, path, { env, extraStdio: [fd] })
    t.equal(await successor.tell('start'), HELD)
    t.match(successor.output, 'the inherited descriptor 3 does not hold it')
    closeSync(fd)
  }
  const none = new PIDFileProcess(t, path, { env: { INHERITED_FD: '77' } })
  t.equal(await none.tell('start'), UNUSABLE)
  t.same(readPIDFile(path), { state: 'running', pid: process.pid })

  await once(spawn('rm', [path]), 'close')
  const successor = new PIDFileProcess(t, path, { env, extraStdio: [owner.fd] })
  t.equal(await successor.tell('start'), 'done')
  t.same(readPIDFile(path), { state: 'running', pid: successor.pid })
  owner.release()
  t.equal(await successor.tell('exit'), 'done')
  t.same(readdirSync(directory), ['other'])
})

for (const [where, mode] of [['a directory that only root may write to', 0o755], ['one that only root may search', 0o700]] as const) {
  test(`after the privileges were dropped the successor writes its PID into the file that it inherited, in ${where}, and the predecessor leaves it alone`, { skip: needsRoot() }, async t => {
    const { directory, path } = place(t)
    chmodSync(directory, mode)
    const predecessor = new PIDFileProcess(t, path)
    await predecessor.tell('start')
    await predecessor.tell('drop')
    await handOver(predecessor)
    const seen = await seenDuring(path, predecessor.tell('start'))
    const successor = Number(/PID (\d+) took over/.exec(predecessor.output)?.[1])
    t.ok(seen.every(content => [predecessor.pid, successor].includes(Number(content.trim()))), JSON.stringify(seen))
    predecessor.kill('SIGTERM')
    await predecessor.match(/predecessor gone/)
    t.equal(readFileSync(path, 'utf8'), `${successor}\n`)
    t.ok(isHeldBy(path, successor))
    t.equal(await predecessor.tell('exit'), 'done')
    t.same(readPIDFile(path), { state: 'stale', reason: 'it is empty' })
  })
}
