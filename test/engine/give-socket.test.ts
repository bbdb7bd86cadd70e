import { linkSync, lstatSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { giveSocket } from '../../packages/engine/src/server/give-socket.js'
import { needsRoot } from '../programs.js'
import { folderOf } from './supervised-service.js'

const NOBODY = 65_534

async function socketAt (t: Test, path: string): Promise<void> {
  const server = net.createServer().listen(path)
  t.teardown(() => server.close())
  await once(server, 'listening')
}

test('a socket is given away; what somebody has put in its place is not', { skip: needsRoot() }, async t => {
  const folder = folderOf(t)
  const path = join(folder, 'app.sock')
  await socketAt(t, path)
  giveSocket(path, NOBODY, NOBODY)
  t.match(lstatSync(path), { uid: NOBODY, gid: NOBODY })

  const foreign = join(folder, 'shadow')
  writeFileSync(foreign, 'root alone', { mode: 0o600 })
  for (const [what, put] of [
    ['a hard link to a file', () => linkSync(foreign, path)],
    ['a symbolic link to a file', () => symlinkSync(foreign, path)],
    ['a hard link to another socket', async () => {
      await socketAt(t, join(folder, 'other.sock'))
      linkSync(join(folder, 'other.sock'), path)
    }],
  ] as const) {
    rmSync(path)
    await put()
    t.throws(() => giveSocket(path, NOBODY, NOBODY), /app\.sock|ELOOP/, what)
    t.equal(lstatSync(foreign).uid, 0)
    t.equal(lstatSync(path).uid, 0)
  }
})
