@echo off
"%~dp0rawr-install.exe" dispatch %*
exit /b %ERRORLEVEL%
