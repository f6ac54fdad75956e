-- host_docs: help for what the host brings: lunette.sys, written in C, and the prompt's own names.

local docs = require "lunette.docs"

docs("mem", "mem(): at the prompt: the memory of tensors, of Lua, and of the whole process")
docs("who", "who(): at the prompt: the variables that are yours")

docs("sys.clock", "clock(): seconds on a clock that never goes back")
docs("sys.sleep", "sleep(seconds): waits; Ctrl-C ends it")
docs("sys.isatty", "isatty(stream=\"stdout\"): whether stdin, stdout or stderr is a terminal")
docs("sys.width", "width(stream=\"stdout\"): columns of the terminal, 80 where there is none")
docs("sys.pid", "pid(): number of this process")
docs("sys.rss", "rss(): bytes of memory that the process has now")
docs("sys.peak_rss", "peak_rss(): the most bytes of memory that it had")
docs("sys.cores", "cores(): processor cores that the process may use")
docs("sys.executable", "executable(): path of the running program")
docs("sys.exit", "exit(status=0): closes everything and ends the program; os.exit is the same")
docs("sys.run", "run({program, word, ...}, {stdout=file, stderr=file, env={NAME=text}, tick=}): a child process to its end,"
  .. " without a shell; tick() is called ten times a second meanwhile, an error in it ends the child; { status= } or"
  .. " { signal= }, with seconds and peak_rss; nil, message, code when it cannot start")
docs("sys.cwd", "cwd(): the current folder")
docs("sys.realpath", "realpath(path): the full path without links; nil, message, code when there is none")
docs("sys.dirname", "dirname(path): the folder part, \".\" when there is none")
docs("sys.basename", "basename(path): the last part")
docs("sys.exists", "exists(path): \"file\", \"directory\", \"other\" or false")
docs("sys.mkdir", "mkdir(path): makes a folder and its parents; true also when it was there; else nil, message, code")
docs("sys.list", "list(folder): the names in it, sorted bytewise; nil, message, code when it cannot be read")
docs("sys.configure", "configure{threads=, deterministic=, precision=, device=, memory=, eager=, seed=}: what the command line"
  .. " sets; threads, deterministic and precision only before the first operation; memory in GB, 0: no limit; true, or"
  .. " nil, message, code for a device that is not there")
docs("sys.settings", "settings(): the settings in force, under configure's names")
docs("sys.modules", "modules(): names of the library's modules inside the program")
docs("sys.source", "source(chunk): text of a library file, as in source(\"lunette/nn.lua\"); nil when there is none")

return docs
