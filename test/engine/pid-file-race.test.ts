import { readdirSync, writeFileSync } from 'node:fs'
import { test, type Test } from 'tap'
import { Engine, PIDFile, isHeldBy, readPIDFile } from '@fastkeep/engine'
import { deadPID, HELD, PIDFileProcess, place } from './pid-file-process.js'

const RACES: Record<string, (path: string, deadPID: number) => void> = {
  'no file': () => {},
  'a stale file': (path, pid) => writeFileSync(path, `${pid}\n`),
  'an empty file': path => writeFileSync(path, ''),
}

async function race (t: Test, count: number, rounds: number, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const { directory, path } = place(t)
  const racers = Array.from({ length: count }, () => new PIDFileProcess(t, path, { env }))
  await Promise.all(racers.map(racer => racer.match(/listening to commands/)))
  for (const [name, prepare] of Object.entries(RACES)) {
    for (let round = 1; round <= rounds; round++) {
      prepare(path, await deadPID())
      const outcomes = await Promise.all(racers.map(racer => racer.tell('claim')))
      const winners = racers.filter((_racer, index) => outcomes[index] === 'done')
      t.equal(winners.length, 1, `${name}, round ${round}: one winner`)
      t.equal(outcomes.filter(outcome => outcome === HELD).length, count - 1, 'all others hear that it is held')
      t.same(readPIDFile(path), { state: 'running', pid: winners[0]?.pid })
      t.same(readdirSync(directory), ['app.pid'])
      for (const winner of winners) await winner.tell('release')
    }
  }
}

test('of 20 simultaneous starts exactly one wins, and its file is the one that stays', async t => {
  await race(t, 20, 5)
})

test('without flock(1) PID and start time decide, with a warning, and still one of several starts wins', async t => {
  const { directory, path } = place(t)
  const env = { FIND_PROGRAMS_IN: directory }
  const first = new PIDFileProcess(t, path, { env })
  t.equal(await first.tell('start'), 'done')
  t.match(first.output, /there is no flock\(1\)/)
  t.equal(await new PIDFileProcess(t, path, { env }).tell('start'), HELD)
  t.notOk(isHeldBy(path, first.pid), 'who could see the lock sees that there is none')
  t.ok(withPath(directory, () => isHeldBy(path, first.pid)), 'who could not sees that the process has the file open')
  t.notOk(withPath(directory, () => isHeldBy(path, process.pid)))
  first.kill('SIGKILL')
  await first.ended
  const second = new PIDFileProcess(t, path, { env })
  t.equal(await second.tell('start'), 'done')
  t.equal(await second.tell('exit'), 'done')
  t.same(readdirSync(directory), [])
  await race(t, 8, 2, env)
})

function withPath<T> (path: string, action: () => T): T {
  const { PATH } = process.env
  process.env.PATH = path
  try {
    return action()
  } finally {
    process.env.PATH = PATH
  }
}

test('kill -9 at any moment leaves a state from which the next start succeeds', async t => {
  const { directory, path } = place(t)
  const next = new PIDFile(new Engine(), path)
  for (let round = 1; round <= 30; round++) {
    const child = new PIDFileProcess(t, path)
    child.process.stdin?.write('churn\n')
    await child.match(/churning/)
    setTimeout(() => child.kill('SIGKILL'), Math.random() * 25)
    await child.ended
    const left = readdirSync(directory)
    await next.claim()
    t.same([readPIDFile(path), readdirSync(directory)], [{ state: 'running', pid: process.pid }, ['app.pid']], `after round ${round}, which left ${left.join(' ') || 'nothing'}`)
    next.release()
  }
})
