// index_logger.cc -- a logger for RocksDB that writes no file.
//
// Its own writes a file LOG beside the data. When that write fails once (full disk, quota), an
// assertion of the library ends the process with all its partitions at the next. The C interface
// takes a logger but cannot make one, hence this door. What RocksDB says is not lost where it
// matters: errors come back from its calls.
#include <memory>

#include <rocksdb/c.h>
#include <rocksdb/env.h>

// As the library defines it behind its C interface (db/c.cc).
struct rocksdb_logger_t {
    std::shared_ptr<rocksdb::Logger> rep;
};

namespace {
class Silent final : public rocksdb::Logger {
public:
    Silent() : rocksdb::Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
    using rocksdb::Logger::Logv;
    void Logv(const char *, va_list) override {}
};
} // namespace

extern "C" rocksdb_logger_t *index_logger_make(void)
{
    return new rocksdb_logger_t{std::make_shared<Silent>()};
}

extern "C" void index_logger_drop(rocksdb_logger_t *logger)
{
    delete logger;
}
