// ms of CPU that turns of the event loop take while a server notices that 100 of its 1,000 names have changed: of each round
// the longest one, and that which 99 of 100 stay below.
import { copyFileSync, mkdirSync, writeFileSync, readFileSync } from 'node:fs'
import tls from 'node:tls'
import { createServerContext } from '@fastkeep/tls-context'

const { cert, key, other, directory } = JSON.parse(process.argv[2])
mkdirSync(directory, { recursive: true })
const names = Object.fromEntries(Array.from({ length: 1_000 }, (_value, index) => {
  const paths = { cert: `${directory}/${index}.pem`, key: `${directory}/${index}.key` }
  copyFileSync(cert, paths.cert)
  writeFileSync(paths.key, readFileSync(key), { mode: 0o600 })
  return [`n${index}.example.test`, paths]
}))
const context = createServerContext({ cert, key, names })
const server = tls.createServer(context.options).listen(0, '127.0.0.1')
context.attach(server)
const reloaded = () => new Promise(resolve => {
  const end = context.listen(event => {
    if (event !== 'reloaded') return
    end()
    resolve()
  })
})
const longest = []
const usual = []
for (let round = 0; round < 6; round++) {
  for (let index = 0; index < 100; index++) {
    copyFileSync(round % 2 === 0 ? other.cert : cert, `${directory}/${index}.pem`)
    copyFileSync(round % 2 === 0 ? other.key : key, `${directory}/${index}.key`)
  }
  let isRunning = true
  const hasReloaded = reloaded()
  const turns = []
  let last = process.cpuUsage()
  const turn = () => {
    const { user, system } = process.cpuUsage(last)
    turns.push((user + system) / 1_000)
    last = process.cpuUsage()
    if (isRunning) setImmediate(turn)
  }
  setImmediate(turn)
  await hasReloaded
  isRunning = false
  // The first one compiles the code.
  if (round === 0) continue
  // While the watcher waits for the last of the changes, nothing is done in a turn.
  const busy = turns.filter(turn => turn > 0.1).sort((a, b) => a - b)
  longest.push(busy.at(-1))
  usual.push(busy[Math.floor(busy.length * 0.99)])
}
server.close()
console.log(JSON.stringify({ longest, usual }))
