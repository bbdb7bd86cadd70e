// Starts and exits an engine with a PID file as standard input says, and prints what came of it.
import { createInterface } from 'node:readline'
import { Engine, PIDFile } from '@fastkeep/engine'

let engine

const commands = {
  async start () {
    engine = new Engine()
    new PIDFile(engine, process.env.PID_FILE).subscribe()
    await engine.start()
    return 'started'
  },
  async exit () {
    await engine.exit()
    return 'exited'
  },
}

createInterface({ input: process.stdin }).on('line', async command => {
  try {
    console.log(await commands[command]())
  } catch (error) {
    console.log(`failed ${error.exitCode} ${error.cause?.code}`)
  }
})
console.log('waiting')
