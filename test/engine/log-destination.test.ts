import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { type Child, runNode } from '../child.js'

const fixture = new URL('fixtures/logs-to-file.js', import.meta.url)

function logFile (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastkeep-log-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'app.log')
}

async function log (child: Child, word: string): Promise<void> {
  const [, url] = await child.match(/serving (\S+)/) as unknown as [string, string]
  await (await fetch(`${url}/${word}`)).text()
}

for (const SYNC of ['0', '1']) {
  test(`graceful opens the log file again after a rotation, ${SYNC === '1' ? '' : 'a'}synchronously`, async t => {
    const path = logFile(t)
    const child = runNode(t, fixture, { LOG_FILE: path, SYNC })
    await log(child, 'before')
    renameSync(path, `${path}.1`)
    child.kill('SIGUSR1')
    await child.match(/reopened/)
    await log(child, 'after')
    child.kill('SIGTERM')
    t.match(await child.ended, { code: 0 })
    const [old, present] = [readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')]
    t.match(old, /word before/)
    t.notMatch(old, /word after/)
    t.match(present, /word after/)
    t.match(present, /Bus EXITING/)
  })
}

test('what the logger holds back is written at the exit', async t => {
  const path = logFile(t)
  const child = runNode(t, fixture, { LOG_FILE: path, MIN_LENGTH: '16000', DIES: '1' })
  await log(child, 'held')
  t.equal(existsSync(path) ? readFileSync(path, 'utf8') : '', '')
  child.kill('SIGTERM')
  t.match(await child.ended, { signal: 'SIGKILL' }, 'nothing else had the time to write it')
  t.match(readFileSync(path, 'utf8'), /word held/)
})

test('a log file that cannot be opened again is told, and the service goes on', async t => {
  const path = logFile(t)
  const child = runNode(t, fixture, { LOG_FILE: path })
  await log(child, 'before')
  rmSync(join(path, '..'), { recursive: true })
  child.kill('SIGUSR1')
  await child.match(/error: .*ENOENT.*app\.log/)
  await log(child, 'after')
  child.kill('SIGTERM')
  t.match(await child.ended, { code: 0 })
})

for (const SYNC of ['0', '1']) {
  test(`a log that cannot be written takes no service down, and the end says so: ${SYNC === '1' ? '' : 'a'}synchronous`, { skip: !existsSync('/dev/full') && 'there is no /dev/full' }, async t => {
    const child = runNode(t, fixture, { LOG_FILE: '/dev/full', SYNC })
    const [, url] = await child.match(/serving (\S+)/) as unknown as [string, string]
    t.equal(await (await fetch(`${url}/word`)).text(), 'logged')
    child.kill('SIGTERM')
    t.match(await child.ended, { code: 71 })
    t.match(child.output, /did not stop cleanly: log: the end of the log could not be written: ENOSPC/)
    t.equal(child.output.match(/not written: ENOSPC/g)?.length, 1)
  })
}

test('an uncaught error whose log cannot be written ends the process all the same', { skip: !existsSync('/dev/full') && 'there is no /dev/full' }, async t => {
  const child = runNode(t, fixture, { LOG_FILE: '/dev/full', SYNC: '1', MIN_LENGTH: '4096' })
  await child.match(/serving/)
  child.kill('SIGUSR2')
  t.match(await child.ended, { code: 70 })
  t.match(child.output, /fastkeep: uncaught exception: Error: nobody caught this/)
})

test('a reader of the log that has gone is no failure', async t => {
  const child = runNode(t, fixture, { LOG_FILE: '' })
  await child.match(/serving/)
  child.process.stdout?.destroy()
  child.kill('SIGTERM')
  t.same(await child.exited, [0, null])
})
