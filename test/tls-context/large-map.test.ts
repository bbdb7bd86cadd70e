import { writeFileSync } from 'node:fs'
import { createServerContext } from '@fastkeep/tls-context'
import { test } from 'tap'
import { authority, leaf } from './pki.ts'

const root = await authority('CN=Lab root')
const server = await leaf(root, { names: ['*.example.test', 'localhost'] })
const renewed = await leaf(root, { names: ['*.example.test', 'localhost'] })

test('with 1,000 names a reload is cut into slices, and leaves unchanged names alone', async t => {
  const directory = t.testdir({})
  const names = Object.fromEntries(Array.from({ length: 1_000 }, (_value, index) => {
    const [cert, key] = [`${directory}/${index}.pem`, `${directory}/${index}.key`]
    writeFileSync(cert, server.certPem)
    writeFileSync(key, server.keyPem, { mode: 0o600 })
    return [`n${index}.example.test`, { cert, key }]
  }))
  const context = createServerContext({ cert: server.certPem, key: server.keyPem, names, watch: false })
  const contextOf = (name: string): unknown => {
    let found: unknown
    context.options.SNICallback?.(name, (_error, context) => { found = context })
    return found
  }
  const before = contextOf('n7.example.test')
  for (const changed of [10, 20]) {
    writeFileSync(`${directory}/${changed}.pem`, renewed.certPem)
    writeFileSync(`${directory}/${changed}.key`, renewed.keyPem)
  }
  const turns: number[] = []
  let last = performance.now()
  let isRunning = true
  const turn = (): void => {
    const now = performance.now()
    turns.push(now - last)
    last = now
    if (isRunning) setImmediate(turn)
  }
  setImmediate(turn)
  t.same((await context.reload()).changed, ['n10.example.test', 'n20.example.test'])
  isRunning = false
  t.equal(contextOf('n7.example.test'), before)
  t.ok(turns.length > 10, `${turns.length} turns of the event loop ran between the slices`)
  t.comment(`the longest of ${turns.length} turns took ${Math.max(...turns).toFixed(1)} ms`)
})
