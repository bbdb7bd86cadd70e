// `npm start`: sets up what is missing, then runs the quickstart in this process.
import { say, setUp, SetupError } from './setup.js'

try {
  setUp()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  say(error.message)
  process.exit(70)
}
await import('../examples/quickstart/dist/main.js')
