// node:cluster with a rolling reload on SIGHUP, as its documentation has one write it.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

cluster.setupPrimary({ exec: fileURLToPath(new URL('plain-service.js', import.meta.url)) })

async function fork () {
  const worker = cluster.fork()
  await once(worker, 'message')
  return worker
}

let workers = await Promise.all(Array.from({ length: Number(process.env.WORKERS) }, fork))
process.on('SIGHUP', async () => {
  const old = workers
  workers = []
  for (const worker of old) {
    workers.push(await fork())
    worker.process.kill('SIGTERM')
  }
  console.log('reloaded')
})
process.on('SIGTERM', () => {
  for (const worker of workers) worker.process.kill('SIGKILL')
  process.exit(0)
})
console.log(`supervising as ${process.pid}`)
