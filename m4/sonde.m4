# SPDX-License-Identifier: Apache-2.0

# SONDE_TRY_CFLAG(VARIABLE, FLAG): adds the flag if the compiler takes it.
AC_DEFUN([SONDE_TRY_CFLAG], [
  AC_MSG_CHECKING([whether $CC accepts $2])
  sonde_save_cflags=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
  CFLAGS=$sonde_save_cflags
])

# Warnings, hardening, hidden symbols.
AC_DEFUN([SONDE_COMPILER_FLAGS], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror],
    [make warnings errors, as the continuous integration does])])
  SONDE_CFLAGS="-std=gnu17 -fvisibility=hidden"
  for flag in -Wall -Wextra -Wshadow -Wstrict-prototypes \
    -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla \
    -Wformat=2 -Wundef -Wno-missing-field-initializers; do
    SONDE_TRY_CFLAG([SONDE_CFLAGS], [$flag])
  done
  AS_IF([test "$enable_werror" = yes],
    [SONDE_CFLAGS="$SONDE_CFLAGS -Werror"])
  SONDE_HARDENING=
  for flag in -fstack-protector-strong -fstack-clash-protection -fPIE; do
    SONDE_TRY_CFLAG([SONDE_HARDENING], [$flag])
  done
  case $host_cpu in
    x86_64) SONDE_TRY_CFLAG([SONDE_HARDENING], [-fcf-protection]) ;;
    aarch64) SONDE_TRY_CFLAG([SONDE_HARDENING], [-mbranch-protection=standard]) ;;
  esac
  case " $CFLAGS " in
    *" -O0 "*|*" -Og "*) ;;
    *" -O"*) SONDE_CPPFLAGS="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2" ;;
  esac
  SONDE_LDFLAGS="-Wl,-z,relro -Wl,-z,now -Wl,--as-needed"
  SONDE_PLUGIN_DEFS="-Wl,-z,defs"
  AC_SUBST([SONDE_CFLAGS])
  AC_SUBST([SONDE_HARDENING])
  AC_SUBST([SONDE_CPPFLAGS])
  AC_SUBST([SONDE_LDFLAGS])
  AC_SUBST([SONDE_PLUGIN_DEFS])
  AC_CHECK_HEADERS([sanitizer/lsan_interface.h])
])

# --enable-sanitizers[=LIST]: address,undefined by default; or thread.
AC_DEFUN([SONDE_SANITIZERS], [
  AC_ARG_ENABLE([sanitizers], [AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@],
    [build with sanitizers (default LIST: address,undefined; or thread)])],
    [], [enable_sanitizers=no])
  AS_IF([test "$enable_sanitizers" = yes],
    [enable_sanitizers=address,undefined])
  SONDE_SANITIZE=
  AS_IF([test "$enable_sanitizers" != no], [
    SONDE_SANITIZE="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer"
    case $enable_sanitizers in
      *undefined*) SONDE_SANITIZE="$SONDE_SANITIZE -fno-sanitize-recover=undefined" ;;
    esac
    # The run-time has a crypt_r of its own that calls the real one: a linker
    # that takes what is "needed" would leave libcrypt out.
    SONDE_LDFLAGS="-Wl,-z,relro -Wl,-z,now"
    # clang puts the run-time into the program only.
    SONDE_PLUGIN_DEFS=
    SONDE_CPPFLAGS=
  ])
  AC_SUBST([SONDE_SANITIZE])
])

# --enable-fuzzing: libFuzzer targets (clang); without it the same targets
# are built with a main that replays files.
AC_DEFUN([SONDE_FUZZING], [
  AC_ARG_ENABLE([fuzzing], [AS_HELP_STRING([--enable-fuzzing],
    [build the fuzz targets for libFuzzer (needs clang)])])
  SONDE_FUZZER=
  AS_IF([test "$enable_fuzzing" = yes], [
    SONDE_FUZZER="-fsanitize=fuzzer"
    SONDE_SANITIZE="$SONDE_SANITIZE -fsanitize=fuzzer-no-link"
  ])
  AC_SUBST([SONDE_FUZZER])
  AM_CONDITIONAL([FUZZING], [test "$enable_fuzzing" = yes])
])

# SONDE_WITH(NAME, PKG-CONFIG MODULE, WHAT FOR)
AC_DEFUN([SONDE_WITH], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1], [$3 (default: auto)])],
    [], [with_$1=auto])
  AS_IF([test "$with_$1" != no], [
    PKG_CHECK_MODULES(m4_toupper([$1]), [$2], [with_$1=yes], [
      AS_IF([test "$with_$1" = yes], [AC_MSG_ERROR([$2 not found])])
      with_$1=no])
  ])
  AS_IF([test "$with_$1" = yes],
    [AC_DEFINE([HAVE_]m4_toupper([$1]), [1], [$2 is there])])
  AM_CONDITIONAL([HAVE_]m4_toupper([$1]), [test "$with_$1" = yes])
  sonde_libraries="$sonde_libraries $1=$with_$1"
])

# SONDE_PLUGIN(NAME, PKG-CONFIG MODULES)
AC_DEFUN([SONDE_PLUGIN], [
  AC_ARG_ENABLE([plugin-$1], [AS_HELP_STRING([--disable-plugin-$1],
    [leave the $1 plugin out (default: auto)])],
    [enable_plugin_$1=$enableval], [enable_plugin_$1=auto])
  m4_ifval([$2], [AS_IF([test "$enable_plugin_$1" != no], [
    PKG_CHECK_MODULES(m4_toupper([$1])_PLUGIN, [$2], [enable_plugin_$1=yes], [
      AS_IF([test "$enable_plugin_$1" = yes], [AC_MSG_ERROR([plugin $1: $2 not found])])
      enable_plugin_$1=no])
  ])], [AS_IF([test "$enable_plugin_$1" = auto], [enable_plugin_$1=yes])])
  AM_CONDITIONAL([PLUGIN_]m4_toupper([$1]), [test "$enable_plugin_$1" = yes])
  sonde_plugins="$sonde_plugins $1=$enable_plugin_$1"
])

AC_DEFUN([SONDE_SUMMARY], [
  AS_ECHO(["
sonde $PACKAGE_VERSION
  compiler    $CC ($CFLAGS)
  sanitizers  $enable_sanitizers
  libraries  $sonde_libraries
  plugins    $sonde_plugins
  unit tests  $have_cunit
  prefix      $prefix

Next: make && ./sonde --help
"])
])
