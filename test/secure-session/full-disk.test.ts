import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { LmdbStore } from '@fastkeep/secure-session/lmdb'
import { needsRoot } from '../programs.ts'
import { Browser, httpApp, key, type Answer } from './https-app.ts'

/** A small disk of its own, which can be made larger. */
function smallDisk (t: Test): { path: string, enlarge: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'fastkeep-full-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path])
  t.teardown(() => {
    execFileSync('umount', ['--lazy', path])
    rmSync(path, { recursive: true })
  })
  return { path, enlarge: () => execFileSync('mount', ['-o', 'remount,size=4m', path]) }
}

/** New sessions of 100 kB each, until one is refused. */
async function fill (origin: string): Promise<{ acknowledged: Browser[], refused: Answer }> {
  const acknowledged: Browser[] = []
  for (;;) {
    const browser = new Browser(origin)
    const answer = await browser.fetch('/note/100000')
    if (answer.statusCode !== 200) return { acknowledged, refused: answer }
    acknowledged.push(browser)
  }
}

test('as root: on a full disk LmdbStore refuses writes with 503, keeps all that it has acknowledged, and goes on when there is room', { skip: needsRoot() }, async t => {
  const disk = smallDisk(t)
  const { app, log } = await httpApp(t, { keys: [key], development: true, csrf: false, store: new LmdbStore({ path: join(disk.path, 'sessions') }) })
  app.get('/note/:length', async ({ session, params }) => { session.note = 'x'.repeat(Number((params as { length: string }).length)); return '' })
  app.get('/read', async ({ session }) => ({ length: (session.note as string).length }))
  app.get('/logout', async ({ session }) => { session.destroy(); return '' })
  const { origin } = await Browser.of(t, app)
  const lengthOf = async (browser: Browser): Promise<unknown> => JSON.parse((await browser.fetch('/read')).body)

  const { acknowledged, refused } = await fill(origin)
  t.match(refused, { statusCode: 503, setCookie: { length: 0 } })
  t.match(JSON.parse(refused.body), { code: 'FST_KEEP_SECURE_SESSION_STORE_UNAVAILABLE' })
  t.ok(log.some(line => JSON.stringify(line).includes('is the disk full?')), 'the log says why')
  const [first, second, ...others] = acknowledged as [Browser, Browser, ...Browser[]]
  t.equal((await first.fetch('/note/200000')).statusCode, 503)
  for (const browser of acknowledged) t.same(await lengthOf(browser), { length: 100_000 })

  disk.enlarge()
  t.equal((await first.fetch('/note/200000')).statusCode, 200)
  t.same(await lengthOf(first), { length: 200_000 })
  t.equal((await second.fetch('/logout')).statusCode, 200)
  for (const browser of others) t.same(await lengthOf(browser), { length: 100_000 })

  t.equal((await fill(origin)).refused.statusCode, 503)
  await app.close()
})
