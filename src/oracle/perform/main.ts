// Entry of the process that performs.
import { serve } from './process.js'

serve()
process.exit()
